"""Options that several commands share, and what they mean."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.decomposition import Decomposition, Message
from napari_ciml.errors import InputError
from napari_ciml.inference.settings import ENGINES
from napari_ciml.monitor import Monitor, Progress

if TYPE_CHECKING:
    from napari_ciml.cases.brain import BrainFinder
    from napari_ciml.cases.case import Case
    from napari_ciml.cases.registration import RegistrationSettings
    from napari_ciml.cases.source import Scan
    from napari_ciml.inference.settings import SegmentSettings
    from napari_ciml.network.checkpoint import Checkpoint
    from napari_ciml.network.checkpoint_info import CheckpointInfo

CLEAR = "\r\033[K"
"""Terminal codes: to the start of the line, and clear it."""


def add_case(parser: argparse.ArgumentParser) -> None:
    """Add CASE and what says which of its files is which modality."""
    parser.add_argument(
        "case",
        metavar="CASE",
        type=Path,
        help="folder of modality files, DICOM folder or tree, or one 4-D file",
    )
    parser.add_argument(
        "--modality",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="name a modality's file or DICOM folder outright, for example FLAIR=scan3.nii.gz, or "
        "a DICOM series of the case by its number, FLAIR=#3 (repeatable)",
    )
    parser.add_argument(
        "--channels",
        metavar="A,B,...",
        help="modalities of a 4-D file's channels, in order, for example FLAIR,T1,T1CE,T2",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="modality onto whose grid the others are brought; default: the finest",
    )
    parser.add_argument(
        "--align",
        choices=("rigid", "affine", "off"),
        help="register the other modalities to the reference; default: only say if they look "
        "misaligned",
    )
    parser.add_argument(
        "--brain-mask",
        choices=("auto", "deep", "off"),
        help="auto: leave skull and scalp out of brain MR that shows them; deep: the same, by a "
        "network (extra brain); default: only say so",
    )


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Add checkpoint, decomposition, muting and device."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="F",
        help="a .safetensors checkpoint; default: the shipped one",
    )
    parser.add_argument(
        "--decomposition",
        metavar="NAME|YAML",
        help="a preset's name or a YAML file; default: the checkpoint's own",
    )
    parser.add_argument(
        "--mute",
        nargs="+",
        action="extend",
        default=[],
        metavar="PRIMARY:AUX",
        help="messages not to pass, for example T2:T1",
    )
    parser.add_argument(
        "--raw", action="store_true", help="leave specks and holes as the network made them"
    )
    parser.add_argument(
        "--two-voxel-sizes",
        action=argparse.BooleanOptionalAction,
        help="average in a pass at voxels 1.25 times as large: half as long again; default: as the "
        "checkpoint says",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="average a tile and its mirror images along every axis: eight times as long",
    )


def described(progress: Progress) -> str:
    """Return progress in words, as in ``Segmenting 3/8``."""
    count = f" {progress.done}/{progress.total}" if progress.total else ""
    return f"{progress.stage}{count}"


def monitor() -> Monitor:
    """Return a monitor that reports to a terminal: progress if it is one, notices always."""
    live = sys.stderr.isatty()

    def report(progress: Progress) -> None:
        print(f"{CLEAR}{described(progress)}", end="", file=sys.stderr, flush=True)

    def tell(sentence: str) -> None:
        if live:
            print(CLEAR, end="", file=sys.stderr, flush=True)
        print(f"note: {sentence}", flush=True)

    return Monitor(report=report if live else lambda _: None, tell=tell)


def look(args: argparse.Namespace, heard: Monitor) -> "Scan":
    """Look at the case that the arguments name."""
    from napari_ciml.cases.scan import scan

    return scan(args.case, channels(args), overrides(args), heard)


def what_can_be_done(
    args: argparse.Namespace, info: "CheckpointInfo", found: "Scan", heard: Monitor
) -> Decomposition:
    """Return the decomposition asked for; if none was, what the case's modalities allow."""
    wanted = wanted_decomposition(args, info)
    there = {source.modality for source in found.sources if source.modality}
    lacking = [name for name in wanted.used_modalities if name not in there]
    if args.decomposition or not lacking or found.problems:
        return wanted
    from napari_ciml.inference.plan import what_is_left

    kept = what_is_left(info, there)
    if kept is None:
        return wanted
    heard.tell(f"The case has no {', '.join(lacking)}; the decomposition is now '{kept.name}'.")
    lost = [name for name in wanted.region_names if name not in kept.region_names]
    if lost:
        heard.tell(f"Nothing is primary for {', '.join(lost)} any more.")
    for said in info.told_of(kept.used_modalities):
        heard.tell(said)
    return kept


def open_case(
    args: argparse.Namespace, found: "Scan", needed: tuple[str, ...], heard: Monitor
) -> "Case":
    """Read the case that was found."""
    from napari_ciml.cases.case import open_found

    case = open_found(
        found, reference=args.reference, needed=needed, align=alignment(args), monitor=heard
    )
    for notice in (*case.assumed, *case.notices):
        heard.tell(notice)
    if args.align is None and len({source.grid for source in case.sources.values()}) > 1:
        from napari_ciml.cases.alignment import misaligned

        for beside in misaligned(case.images, case.grid, case.reference, heard):
            heard.tell(f"{beside} (--align rigid, or --align off to hear no more of it)")
    return _brain(case, args.brain_mask, heard)


def _brain(case: "Case", wanted: str | None, heard: Monitor) -> "Case":
    """Find the brain if that is asked for; if nothing is said, say that there is more to see."""
    from napari_ciml.cases.brain import brain_notice, skull_notice, unstripped, with_brain_found

    if (find := brain_finder(wanted)) is not None:
        masked = with_brain_found(case, heard, find)
        if masked.brain is not None:
            heard.tell(brain_notice(masked))
        return masked
    heads = unstripped(case) if wanted is None else ()
    if heads:
        heard.tell(
            f"{skull_notice(heads)} (--brain-mask auto, or --brain-mask off to hear no more of it)."
        )
    return case


def brain_finder(wanted: str | None) -> "BrainFinder | None":
    """Return what is to find the brain, or None."""
    if wanted == "deep":
        from napari_ciml.inference.skull import deep_brain_mask

        return deep_brain_mask
    from napari_ciml.cases.brain import brain_mask

    return brain_mask if wanted == "auto" else None


def alignment(args: argparse.Namespace) -> "RegistrationSettings | None":
    """Return how modalities are to be registered, or None."""
    if args.align in (None, "off"):
        return None
    from napari_ciml.cases.registration import RegistrationSettings

    return RegistrationSettings(kind=args.align)


def channels(args: argparse.Namespace) -> list[str] | None:
    """Return the names given for a 4-D file's channels."""
    return args.channels.split(",") if args.channels else None


def overrides(args: argparse.Namespace) -> dict[str, Path]:
    """Return the files named outright, by modality."""
    named = {}
    for text in args.modality:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise InputError(f"--modality {text}: write NAME=FILE, for example FLAIR=a.nii.gz.")
        named[name] = Path(file)
    return named


def checkpoint_path(args: argparse.Namespace) -> Path:
    """Return the checkpoint asked for, by default the shipped one that serves the decomposition."""
    from napari_ciml.resources import shipped_checkpoint

    if args.checkpoint is not None:
        return Path(args.checkpoint)
    return shipped_checkpoint(
        None if args.decomposition is None else decomposition(args.decomposition)
    )


def decomposition(text: str) -> Decomposition:
    """Return the preset of that name, or read the YAML file.

    Raises
    ------
    InputError
        If it is neither.
    """
    from napari_ciml.presets import PRESETS

    if text in PRESETS:
        return PRESETS[text]
    if Path(text).is_file():
        return Decomposition.read(Path(text))
    raise InputError(f"--decomposition {text}: neither a file nor a preset ({', '.join(PRESETS)}).")


def wanted_decomposition(args: argparse.Namespace, info: "CheckpointInfo") -> Decomposition:
    """Return the decomposition asked for, by default the checkpoint's own."""
    return decomposition(args.decomposition) if args.decomposition else info.decomposition


def muted(args: argparse.Namespace) -> frozenset[Message]:
    """Return the messages that the arguments keep back.

    Raises
    ------
    InputError
        If one is not written as it should be.
    """
    found = set()
    for text in args.mute:
        primary, colon, auxiliary = text.partition(":")
        if not (primary and colon and auxiliary):
            raise InputError(f"--mute {text}: write it as PRIMARY:AUX, for example T2:T1.")
        found.add(Message(primary, auxiliary))
    return frozenset(found)


def settings(args: argparse.Namespace) -> "SegmentSettings":
    """Return the inference settings that the arguments name; errors as `muted`."""
    from napari_ciml.inference.settings import SegmentSettings

    return SegmentSettings(
        device=args.device,
        engine=args.engine,
        muted=muted(args),
        clean=not args.raw,
        samples=args.uncertainty,
        mirror=args.mirror,
        coarser=args.two_voxel_sizes,
        overlap=args.overlap,
    )


def load(path: Path, heard: Monitor) -> "Checkpoint":
    """Load a checkpoint, saying so."""
    heard.step("Loading the checkpoint")
    from napari_ciml.network.checkpoint import load_checkpoint

    return load_checkpoint(path)

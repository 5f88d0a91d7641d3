"""Options that several commands share, and what they mean."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.decomposition.model import Decomposition, Message
from napari_ciml.errors import InputError
from napari_ciml.inference.settings import ENGINES
from napari_ciml.progress import Progress, ProgressMonitor

if TYPE_CHECKING:
    from napari_ciml.cases.case import Case
    from napari_ciml.cases.registration import RegistrationSettings
    from napari_ciml.cases.skull_stripping import BrainFinder
    from napari_ciml.cases.source import DiscoveredCase
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


def format_progress(progress: Progress) -> str:
    """Return progress in words, as in ``Segmenting 3/8``."""
    count = f" {progress.done}/{progress.total}" if progress.total else ""
    return f"{progress.stage}{count}"


def monitor() -> ProgressMonitor:
    """Return a monitor that reports to a terminal: progress if it is one, notices always."""
    live = sys.stderr.isatty()

    def report(progress: Progress) -> None:
        print(f"{CLEAR}{format_progress(progress)}", end="", file=sys.stderr, flush=True)

    def tell(sentence: str) -> None:
        if live:
            print(CLEAR, end="", file=sys.stderr, flush=True)
        print(f"note: {sentence}", flush=True)

    return ProgressMonitor(report=report if live else lambda _: None, notify=tell)


def discover(args: argparse.Namespace, heard: ProgressMonitor) -> "DiscoveredCase":
    """Look at the case that the arguments name."""
    from napari_ciml.cases.discovery import discover_volumes

    return discover_volumes(args.case, channels(args), overrides(args), heard)


def resolve_decomposition(
    args: argparse.Namespace,
    info: "CheckpointInfo",
    found: "DiscoveredCase",
    heard: ProgressMonitor,
) -> Decomposition:
    """Return the decomposition asked for; if none was, what the case's modalities allow."""
    wanted = wanted_decomposition(args, info)
    there = {source.modality for source in found.sources if source.modality}
    lacking = [name for name in wanted.input_modalities if name not in there]
    if args.decomposition or not lacking or found.problems:
        return wanted
    from napari_ciml.inference.plan import reduce_to_modalities

    kept = reduce_to_modalities(info, there)
    if kept is None:
        return wanted
    heard.notify(f"The case has no {', '.join(lacking)}; the decomposition is now '{kept.name}'.")
    lost = [name for name in wanted.region_names if name not in kept.region_names]
    if lost:
        heard.notify(f"Nothing is primary for {', '.join(lost)} any more.")
    for said in info.reduced_modality_notice(kept.input_modalities):
        heard.notify(said)
    return kept


def open_case(
    args: argparse.Namespace,
    found: "DiscoveredCase",
    needed: tuple[str, ...],
    heard: ProgressMonitor,
) -> "Case":
    """Read the case that was found."""
    from napari_ciml.cases.case import load_discovered

    case = load_discovered(
        found, reference=args.reference, needed=needed, align=alignment(args), monitor=heard
    )
    for notice in (*case.assumptions, *case.notices):
        heard.notify(notice)
    if args.align is None and len({source.grid for source in case.sources.values()}) > 1:
        from napari_ciml.cases.alignment import detect_misalignment

        for beside in detect_misalignment(case.images, case.grid, case.reference, heard):
            heard.notify(f"{beside} (--align rigid, or --align off to hear no more of it)")
    return _brain(case, args.brain_mask, heard)


def _brain(case: "Case", wanted: str | None, heard: ProgressMonitor) -> "Case":
    """Find the brain if that is asked for; if nothing is said, say that there is more to see."""
    from napari_ciml.cases.skull_stripping import (
        brain_notice,
        modalities_with_skull,
        skull_notice,
        skull_strip,
    )

    if (find := brain_finder(wanted)) is not None:
        masked = skull_strip(case, heard, find)
        if masked.brain is not None:
            heard.notify(brain_notice(masked))
        return masked
    heads = modalities_with_skull(case) if wanted is None else ()
    if heads:
        heard.notify(
            f"{skull_notice(heads)} (--brain-mask auto, or --brain-mask off to hear no more of it)."
        )
    return case


def brain_finder(wanted: str | None) -> "BrainFinder | None":
    """Return what is to find the brain, or None."""
    if wanted == "deep":
        from napari_ciml.inference.deepbet import deepbet_brain_mask

        return deepbet_brain_mask
    from napari_ciml.cases.skull_stripping import brain_mask

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
    from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint

    if args.checkpoint is not None:
        return Path(args.checkpoint)
    return find_bundled_checkpoint(
        None if args.decomposition is None else decomposition(args.decomposition)
    )


def decomposition(text: str) -> Decomposition:
    """Return the preset of that name, or read the YAML file.

    Raises
    ------
    InputError
        If it is neither.
    """
    from napari_ciml.decomposition.presets import PRESETS

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
    """Return the inference settings that the arguments name; errors as `muted`.

    A command without ``--uncertainty`` or ``--overlap`` gets their defaults.
    """
    from napari_ciml.inference.settings import SegmentSettings

    return SegmentSettings(
        device=args.device,
        engine=args.engine,
        muted=muted(args),
        postprocess=not args.raw,
        kappa_samples=getattr(args, "uncertainty", 0),
        test_time_flips=args.mirror,
        multiscale=args.two_voxel_sizes,
        overlap=getattr(args, "overlap", None),
    )


def load(path: Path, heard: ProgressMonitor) -> "Checkpoint":
    """Load a checkpoint, saying so."""
    heard.step("Loading the checkpoint")
    from napari_ciml.network.checkpoint import load_checkpoint

    return load_checkpoint(path)

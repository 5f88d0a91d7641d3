"""Options that several commands share."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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
"""Terminal control codes: return to the start of the line, and clear it."""


def add_case(parser: argparse.ArgumentParser) -> None:
    """Add CASE and the options that assign its files to modalities."""
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
        help="file or DICOM folder of a modality, for example FLAIR=scan3.nii.gz, or a DICOM "
        "series of the case by its number, for example FLAIR=#3 (repeatable)",
    )
    parser.add_argument(
        "--channels",
        metavar="A,B,...",
        help="modalities of a 4-D file's channels, in order, for example FLAIR,T1,T1CE,T2",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="modality onto whose grid the others are resampled; default: the finest",
    )
    parser.add_argument(
        "--align",
        choices=("rigid", "affine", "off"),
        help="register the other modalities to the reference; default: only warn about "
        "misalignment; off: do not check",
    )
    parser.add_argument(
        "--brain-mask",
        choices=("auto", "deep", "off"),
        help="skull-strip brain MR that shows the skull: auto with morphology, deep with a network "
        "(extra: brain); default: only warn; off: do not check",
    )


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Add checkpoint, decomposition, muting, device and inference options."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="F",
        help="checkpoint (.safetensors); default: the bundled one for the decomposition",
    )
    parser.add_argument(
        "--decomposition",
        metavar="NAME|YAML",
        help="name of a preset, or a YAML file; default: the checkpoint's own",
    )
    parser.add_argument(
        "--mute",
        nargs="+",
        action="extend",
        default=[],
        metavar="PRIMARY:AUX",
        help="messages to mute, for example T2:T1",
    )
    parser.add_argument(
        "--postprocess",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="remove small components and fill holes as fitted for the checkpoint; default: yes",
    )
    parser.add_argument(
        "--multiscale",
        action=argparse.BooleanOptionalAction,
        help="average with a second pass at voxels 1.25 times as large, which takes 1.5 times as "
        "long; default: the checkpoint's setting",
    )
    parser.add_argument(
        "--test-time-flips",
        action="store_true",
        help="test-time augmentation: average over flips along all axes, which takes 8 times as "
        "long",
    )
    add_device(parser)
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="inference engine")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the device."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="default: the fastest available",
    )


def format_progress(progress: Progress) -> str:
    """Return progress as text, for example ``Segmenting 3/8``."""
    count = f" {progress.done}/{progress.total}" if progress.total else ""
    return f"{progress.stage}{count}"


def monitor(notices: TextIO | None = None) -> ProgressMonitor:
    """Return a monitor that prints progress to stderr, if that is a terminal, and notices.

    Parameters
    ----------
    notices : TextIO, optional
        Stream of the notices; by default stdout, with the prefix ``note:``.
    """
    is_terminal = sys.stderr.isatty()

    def report(progress: Progress) -> None:
        print(f"{CLEAR}{format_progress(progress)}", end="", file=sys.stderr, flush=True)

    def notify(notice: str) -> None:
        if is_terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)
        print(notice if notices else f"note: {notice}", file=notices, flush=True)

    return ProgressMonitor(report=report if is_terminal else lambda _: None, notify=notify)


def discover(args: argparse.Namespace, monitor: ProgressMonitor) -> "DiscoveredCase":
    """Find the volumes of the requested case."""
    from napari_ciml.cases.discovery import discover_volumes

    return discover_volumes(args.case, channels(args), overrides(args), monitor)


def resolve_decomposition(
    args: argparse.Namespace,
    info: "CheckpointInfo",
    discovered: "DiscoveredCase",
    monitor: ProgressMonitor,
) -> Decomposition:
    """Return the requested decomposition; without a request, reduced to the case's modalities."""
    decomposition = requested_decomposition(args, info)
    available = {source.modality for source in discovered.sources if source.modality}
    missing = [name for name in decomposition.input_modalities if name not in available]
    if args.decomposition or not missing or discovered.problems:
        return decomposition
    from napari_ciml.inference.plan import reduce_to_modalities

    reduced = reduce_to_modalities(info, available)
    if reduced is None:
        return decomposition
    monitor.notify(
        f"The case has no {', '.join(missing)}; the decomposition is now '{reduced.name}'."
    )
    lost = [name for name in decomposition.region_names if name not in reduced.region_names]
    if lost:
        monitor.notify(f"No modality is primary for {', '.join(lost)} any longer.")
    for notice in info.reduced_modality_notice(reduced.input_modalities):
        monitor.notify(notice)
    return reduced


def open_case(
    args: argparse.Namespace,
    discovered: "DiscoveredCase",
    modalities: tuple[str, ...],
    monitor: ProgressMonitor,
) -> "Case":
    """Read the modalities of a discovered case; align and skull-strip it as requested."""
    from napari_ciml.cases.case import load_discovered

    case = load_discovered(
        discovered,
        reference=args.reference,
        needed=modalities,
        align=alignment(args),
        monitor=monitor,
    )
    for notice in (*case.assumptions, *case.notices):
        monitor.notify(notice)
    if args.align is None and len({source.grid for source in case.sources.values()}) > 1:
        from napari_ciml.cases.alignment import detect_misalignment

        for warning in detect_misalignment(case.images, case.grid, case.reference, monitor):
            monitor.notify(f"{warning} (--align rigid registers it; --align off skips this check)")
    return _skull_strip(case, args.brain_mask, monitor)


def _skull_strip(case: "Case", method: str | None, monitor: ProgressMonitor) -> "Case":
    """Skull-strip the case if requested; without a request, warn if the skull is visible."""
    from napari_ciml.cases.skull_stripping import (
        brain_notice,
        modalities_with_skull,
        skull_notice,
        skull_strip,
    )

    if (finder := brain_finder(method)) is not None:
        stripped = skull_strip(case, monitor, finder)
        if stripped.brain is not None:
            monitor.notify(brain_notice(stripped))
        return stripped
    with_skull = modalities_with_skull(case) if method is None else ()
    if with_skull:
        monitor.notify(
            f"{skull_notice(with_skull)} (--brain-mask auto removes it; --brain-mask off skips "
            "this check)."
        )
    return case


def brain_finder(method: str | None) -> "BrainFinder | None":
    """Return the function that computes the brain mask, or None."""
    if method == "deep":
        from napari_ciml.inference.deepbet import deepbet_brain_mask

        return deepbet_brain_mask
    from napari_ciml.cases.skull_stripping import brain_mask

    return brain_mask if method == "auto" else None


def alignment(args: argparse.Namespace) -> "RegistrationSettings | None":
    """Return the registration settings, or None for no registration."""
    if args.align in (None, "off"):
        return None
    from napari_ciml.cases.registration import RegistrationSettings

    return RegistrationSettings(kind=args.align)


def channels(args: argparse.Namespace) -> list[str] | None:
    """Return the modalities of a 4-D file's channels, if given."""
    return args.channels.split(",") if args.channels else None


def overrides(args: argparse.Namespace) -> dict[str, Path]:
    """Return the explicitly named files by modality."""
    files = {}
    for text in args.modality:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise InputError(f"--modality {text}: write NAME=FILE, for example FLAIR=a.nii.gz.")
        files[name] = Path(file)
    return files


def checkpoint_path(args: argparse.Namespace) -> Path:
    """Return the requested checkpoint, by default the bundled one for the decomposition."""
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


def requested_decomposition(args: argparse.Namespace, info: "CheckpointInfo") -> Decomposition:
    """Return the requested decomposition, by default the checkpoint's own."""
    return decomposition(args.decomposition) if args.decomposition else info.decomposition


def muted(args: argparse.Namespace) -> frozenset[Message]:
    """Return the muted messages.

    Raises
    ------
    InputError
        If one is malformed.
    """
    messages = set()
    for text in args.mute:
        primary, colon, auxiliary = text.partition(":")
        if not (primary and colon and auxiliary):
            raise InputError(f"--mute {text}: write it as PRIMARY:AUX, for example T2:T1.")
        messages.add(Message(primary, auxiliary))
    return frozenset(messages)


def settings(args: argparse.Namespace) -> "SegmentSettings":
    """Return the inference settings; raises as `muted`.

    A command without ``--uncertainty`` or ``--overlap`` gets their defaults.
    """
    from napari_ciml.inference.settings import SegmentSettings

    return SegmentSettings(
        device=args.device,
        engine=args.engine,
        muted=muted(args),
        postprocess=args.postprocess,
        kappa_samples=getattr(args, "uncertainty", 0),
        test_time_flips=args.test_time_flips,
        multiscale=args.multiscale,
        overlap=getattr(args, "overlap", None),
    )


def load(path: Path, monitor: ProgressMonitor) -> "Checkpoint":
    """Load a checkpoint with a progress step."""
    monitor.step("Loading the checkpoint")
    from napari_ciml.network.checkpoint import load_checkpoint

    return load_checkpoint(path)

"""``napari-ciml segment``."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_ciml.cli import argument_types, options
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from napari_ciml.cases.case import Case
    from napari_ciml.explanation.result import Explanation
    from napari_ciml.inference.result import Segmentation
    from napari_ciml.network.checkpoint import Checkpoint
    from napari_ciml.progress import ProgressMonitor


class SegmentRun(NamedTuple):
    """Result of the command; ``series`` are the DICOM files that a DICOM SEG refers to."""

    case: "Case"
    checkpoint: "Checkpoint"
    segmentation: "Segmentation"
    series: list[Path]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("segment", help="segment a case")
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segment_case` and `write`."""
    options.add_case(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--grid", metavar="NAME", help="modality on whose grid the results are written"
    )
    options.add_inference(parser)
    parser.add_argument(
        "--uncertainty",
        type=argument_types.positive_or_zero,
        default=0,
        metavar="N",
        help="write the uncertainty of each region over N samples of the complementary information",
    )
    parser.add_argument(
        "--overlap",
        type=argument_types.fraction_below_one,
        metavar="FRACTION",
        help="overlap of neighbouring tiles, as a fraction of the edge of the checkpoint's largest "
        "patch; default: 0.5 with instance norm, as much as avoids seams with batch norm",
    )
    parser.add_argument("--report", action="store_true", help="write a report as HTML and PDF")
    parser.add_argument(
        "--dicom-seg",
        type=Path,
        metavar="SERIES",
        help="write a DICOM SEG that refers to the series in this folder",
    )


def run(args: argparse.Namespace) -> None:
    """Segment a case, write the results and print a summary."""
    monitor = options.monitor()
    result = segment_case(args, monitor)
    write(args, result, None, monitor)
    print_summary(result.segmentation)


def segment_case(args: argparse.Namespace, monitor: "ProgressMonitor") -> SegmentRun:
    """Read and segment the requested case."""
    from napari_ciml.export.dicom_series import dicom_files_in
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.inference.plan import make_plan
    from napari_ciml.network.checkpoint_info import read_info

    ensure_writable_folder(args.output)
    series = dicom_files_in(args.dicom_seg) if args.dicom_seg else []
    path = options.checkpoint_path(args)
    info = read_info(path)
    start = time.perf_counter()
    discovered = options.discover(args, monitor)
    discovery_seconds = time.perf_counter() - start
    decomposition = options.resolve_decomposition(args, info, discovered, monitor)
    settings = options.settings(args)
    plan = make_plan(info, decomposition, settings.muted)

    from napari_ciml.inference.segment import segment

    start = time.perf_counter()
    if args.grid not in (None, *plan.modalities):
        modalities = ", ".join(plan.modalities)
        raise InputError(f"--grid {args.grid}: is not read; choose one of {modalities}.")
    case = options.open_case(args, discovered, plan.modalities, monitor)
    read_seconds = time.perf_counter() - start + discovery_seconds
    checkpoint = options.load(path, monitor)
    segmentation = segment(case, checkpoint, decomposition, settings, monitor)
    segmentation.seconds["read"] = round(read_seconds, 3)
    return SegmentRun(case, checkpoint, segmentation, series)


def write(
    args: argparse.Namespace,
    result: SegmentRun,
    explanation: "Explanation | None",
    monitor: "ProgressMonitor",
) -> None:
    """Write the requested files."""
    from napari_ciml.export.bundle import ExportInput, ExportOptions, Kind, export_results
    from napari_ciml.export.report import ReportContext

    kinds: set[Kind] = {"labels", "probabilities", "tables", "maps"}
    if args.report:
        kinds.add("report")
    if args.dicom_seg:
        kinds.add("dicom-seg")
    export_input = ExportInput(
        result.case,
        result.segmentation,
        result.segmentation.label_map,
        explanation,
        ReportContext(checkpoint=result.checkpoint.info.name),
    )
    export_options = ExportOptions(frozenset(kinds), series=result.series, grid=args.grid)
    export_results(args.output, export_input, export_options, monitor)


def print_summary(segmentation: "Segmentation") -> None:
    """Print volumes, run times, memory and device."""
    volumes = ", ".join(f"{name} {ml:.1f} mL" for name, ml in segmentation.volumes_ml.items())
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in segmentation.seconds.items())
    print(f"{volumes} ({stages}; {segmentation.peak_memory_mib:.0f} MiB; {segmentation.device})")

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
    """What a run of the command leaves for whoever goes on with it."""

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
    """Add what `segment_case` reads."""
    options.add_case(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--grid", metavar="NAME", help="modality on whose voxels results are written"
    )
    options.add_inference(parser)
    parser.add_argument(
        "--uncertainty",
        type=argument_types.positive_or_zero,
        default=0,
        metavar="N",
        help="sample the complementary information N times and write how sure each region is",
    )
    parser.add_argument(
        "--overlap",
        type=argument_types.fraction_below_one,
        metavar="SHARE",
        help="of a tile's edge that neighbouring tiles of the checkpoint's largest patch have in "
        "common; default: instance norm 0.5, batch norm what a seam needs",
    )
    parser.add_argument("--report", action="store_true", help="write a page of HTML and of PDF")
    parser.add_argument(
        "--dicom-seg",
        type=Path,
        metavar="SERIES",
        help="write a DICOM SEG that refers to the series in this folder",
    )


def run(args: argparse.Namespace) -> None:
    """Segment, write, tell."""
    heard = options.monitor()
    done = segment_case(args, heard)
    write(args, done, None, heard)
    tell(done.segmentation)


def segment_case(args: argparse.Namespace, heard: "ProgressMonitor") -> SegmentRun:
    """Segment the case that the arguments name."""
    from napari_ciml.export.dicom_series import dicom_files_in
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.inference.plan import make_plan
    from napari_ciml.network.checkpoint_info import read_info

    ensure_writable_folder(args.output)
    series = dicom_files_in(args.dicom_seg) if args.dicom_seg else []
    path = options.checkpoint_path(args)
    info = read_info(path)
    start = time.perf_counter()
    found = options.discover(args, heard)
    looked = time.perf_counter() - start
    wanted = options.resolve_decomposition(args, info, found, heard)
    settings = options.settings(args)
    plan = make_plan(info, wanted, settings.muted)

    from napari_ciml.inference.segment import segment

    start = time.perf_counter()
    if args.grid not in (None, *plan.modalities):
        have = ", ".join(plan.modalities)
        raise InputError(f"--grid {args.grid}: is not read; results can lie on {have}.")
    case = options.open_case(args, found, plan.modalities, heard)
    read = time.perf_counter() - start + looked
    checkpoint = options.load(path, heard)
    segmentation = segment(case, checkpoint, wanted, settings, heard)
    segmentation.seconds["read"] = round(read, 3)
    return SegmentRun(case, checkpoint, segmentation, series)


def write(
    args: argparse.Namespace,
    done: SegmentRun,
    explanation: "Explanation | None",
    heard: "ProgressMonitor",
) -> None:
    """Write the results that the arguments ask for."""
    from napari_ciml.export.bundle import ExportInput, ExportOptions, Kind, export_results
    from napari_ciml.export.report import ReportContext

    kinds: set[Kind] = {"labels", "probabilities", "tables", "maps"}
    if args.report:
        kinds.add("report")
    if args.dicom_seg:
        kinds.add("dicom-seg")
    results = ExportInput(
        done.case,
        done.segmentation,
        done.segmentation.label_map,
        explanation,
        ReportContext(checkpoint=done.checkpoint.info.name),
    )
    wish = ExportOptions(frozenset(kinds), series=done.series, grid=args.grid)
    export_results(args.output, results, wish, heard)


def tell(segmentation: "Segmentation") -> None:
    """Print volumes and seconds."""
    volumes = ", ".join(f"{name} {ml:.1f} mL" for name, ml in segmentation.volumes_ml.items())
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in segmentation.seconds.items())
    print(f"{volumes} ({stages}; {segmentation.peak_memory_mib:.0f} MiB; {segmentation.device})")

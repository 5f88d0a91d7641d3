"""``napari-ciml reproduce``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.regions import KNOWN, regions
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.protocols import NONSTANDARD


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "reproduce",
        help="reproduce the studies of the paper",
        description="Run or resume a study; `report` turns the tables of all studies into a page.",
    )
    parser.add_argument("name", choices=list(_STUDIES), metavar="NAME", help=", ".join(_STUDIES))
    parser.add_argument(
        "--budget",
        choices=("small", "paper"),
        default="small",
        help="small: synthetic volumes, two cores; paper: section 4.2 on the cases of --data",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data set, as for train")
    parser.add_argument(
        "--preset",
        default="brats2020",
        metavar="NAME",
        help="decomposition of --data; default: brats2020",
    )
    options.add_device(parser)
    parser.add_argument(
        "--jobs", type=argument_types.positive, metavar="N", help="number of parallel runs"
    )
    _add_study_options(parser)
    parser.set_defaults(run=run)


def _add_study_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of single studies."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="attribution, finetuning: checkpoint; default: the bundled glioma one",
    )
    parser.add_argument(
        "--regions",
        metavar="PRESET",
        help="finetuning: label convention of --data; " + KNOWN,
    )
    parser.add_argument(
        "--minutes",
        type=argument_types.minutes,
        default=5.0,
        metavar="M",
        help="finetuning: time budget per case; default: 5",
    )
    parser.add_argument(
        "--steps",
        type=argument_types.positive,
        metavar="N",
        help="finetuning: budget in optimiser steps instead of time",
    )
    parser.add_argument(
        "--protocol",
        action="append",
        choices=NONSTANDARD,
        help="finetuning: MR protocol of the phantoms (repeatable); default: all but the standard "
        "one",
    )
    parser.add_argument(
        "--external",
        type=Path,
        metavar="DIR",
        help="early-fusion: another data set to test on; registration: the case of --data, "
        "registered by others",
    )
    parser.add_argument(
        "--epochs",
        type=argument_types.positive,
        default=20,
        metavar="N",
        help="early-fusion: number of epochs of 100 steps; default: 20",
    )


def run(args: argparse.Namespace) -> None:
    """Run the study, and print the path of its result."""
    from napari_ciml.errors import InputError

    study = _STUDIES[args.name]
    if args.data is None and study is _early_fusion:
        raise InputError(
            "early-fusion needs a data set, for example phantoms; name it with --data."
        )
    if args.data is None and args.budget == "paper" and study in _ON_REAL_CASES:
        raise InputError("--budget paper trains on real cases; name their folder with --data.")
    print(study(args, options.monitor()))


def _report(args: argparse.Namespace, _: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.report import write_report

    return write_report(args.output)


def _shapes(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.research.shapes.study import reproduce_shapes

    return reproduce_shapes(args.budget == "paper", args.output, monitor)


def _faithfulness(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.faithfulness import measure_faithfulness

    return measure_faithfulness(args.budget, args.output, monitor, args.data)


def _early_fusion(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.early_fusion import measure_early_fusion

    return measure_early_fusion(
        args.data,
        args.external,
        args.output,
        monitor,
        preset=args.preset,
        epochs=args.epochs,
        device=args.device,
    )


def _registration(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.errors import InputError
    from napari_ciml.research.studies.alignment import measure_alignment
    from napari_ciml.research.studies.native_alignment import measure_native

    if args.data and args.external:
        return measure_native(args.data, args.external, args.output, monitor)
    if args.data or args.external:
        raise InputError(
            "Name an original case with --data and its registered one with --external."
        )
    return measure_alignment(args.output, monitor)


def _attribution(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
    from napari_ciml.research.studies.weight_attribution import measure_attribution

    checkpoint = options.load(args.checkpoint or find_bundled_checkpoint(), monitor)
    return measure_attribution(checkpoint, args.output, monitor)


def _finetuning(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
    from napari_ciml.research.studies.finetuning import FineTuneStudy, measure_finetuning
    from napari_ciml.training.settings import FineTuneSettings

    study = FineTuneStudy(
        settings=FineTuneSettings(minutes=args.minutes, steps=args.steps),
        protocols=tuple(args.protocol or NONSTANDARD),
        data=args.data,
        decomposition=options.decomposition(args.preset) if args.data else None,
        convention=regions(args.regions) if args.regions else (),
        device=args.device,
    )
    checkpoint = options.load(args.checkpoint or find_bundled_checkpoint(), monitor)
    return measure_finetuning(checkpoint, args.output, monitor, study)


def _table(args: argparse.Namespace, monitor: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.reproduce import StudyOptions, reproduce

    study_options = StudyOptions(args.data, args.preset, args.device, args.jobs)
    return reproduce(args.name, args.budget, args.output, monitor, study_options)


_STUDIES: dict[str, Callable[[argparse.Namespace, ProgressMonitor], Path]] = {
    "shapes": _shapes,
    "ablation": _table,
    "decompositions": _table,
    "beta": _table,
    "filters": _table,
    "baselines": _table,
    "early-fusion": _early_fusion,
    "faithfulness": _faithfulness,
    "attribution": _attribution,
    "registration": _registration,
    "finetuning": _finetuning,
    "report": _report,
}
_ON_REAL_CASES = (_table, _faithfulness)
"""Studies that need a data set for ``--budget paper``."""

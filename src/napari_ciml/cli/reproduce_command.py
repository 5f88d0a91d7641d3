"""``napari-ciml reproduce``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.regions import KNOWN, regions
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.protocols import STRANGE


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "reproduce",
        help="see which of the paper's claims hold",
        description="Do a study, or go on with one; `report` turns all tables into a page.",
    )
    parser.add_argument("name", choices=list(_STUDIES), metavar="NAME", help=", ".join(_STUDIES))
    parser.add_argument(
        "--budget",
        choices=("small", "paper"),
        default="small",
        help="small: made-up volumes, two cores; paper: section 4.2 on the cases of --data",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a data set, as for train")
    parser.add_argument(
        "--preset", default="brats2020", metavar="NAME", help="of DATA: brats2020, autopet, ..."
    )
    parser.add_argument(
        "--regions", metavar="PRESET", help="for learning: what DATA's label values mean: " + KNOWN
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="for carriers and learning; default: the glioma one that ships",
    )
    parser.add_argument(
        "--minutes",
        type=argument_types.minutes,
        default=5.0,
        metavar="M",
        help="for learning, a case",
    )
    parser.add_argument(
        "--steps", type=argument_types.positive, metavar="N", help="for learning, in place of time"
    )
    parser.add_argument(
        "--protocol",
        action="append",
        choices=STRANGE,
        help="for learning: of the phantoms (repeatable); default: all that are not usual",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="DIR",
        help="for peers: other cases to test on; for registration: the case of --data as somebody "
        "else prepared it",
    )
    parser.add_argument(
        "--epochs",
        type=argument_types.positive,
        default=20,
        metavar="N",
        help="for peers: of 100 steps",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--jobs", type=argument_types.positive, metavar="N", help="runs side by side"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Do what is asked for and print the file it ends in."""
    from napari_ciml.errors import InputError

    study = _STUDIES[args.name]
    if args.data is None and study is _peers:
        raise InputError("peers trains on a data set (phantoms, say); name it with --data.")
    if args.data is None and args.budget == "paper" and study in _ON_REAL_CASES:
        raise InputError("--budget paper trains on real cases; name their folder with --data.")
    print(study(args, options.monitor()))


def _report(args: argparse.Namespace, _: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.report import write_report

    return write_report(args.output)


def _shapes(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.research.shapes.study import reproduce_shapes

    return reproduce_shapes(args.budget == "paper", args.output, heard)


def _faithfulness(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.faithfulness import measure_faithfulness

    return measure_faithfulness(args.budget, args.output, heard, args.data)


def _peers(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.early_fusion import measure_peers

    return measure_peers(
        args.data,
        args.judge,
        args.output,
        heard,
        preset=args.preset,
        epochs=args.epochs,
        device=args.device,
    )


def _registration(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.errors import InputError
    from napari_ciml.research.studies.alignment import measure_alignment
    from napari_ciml.research.studies.native_alignment import measure_native

    if args.data and args.judge:
        return measure_native(args.data, args.judge, args.output, heard)
    if args.data or args.judge:
        raise InputError("Name a case as scanned with --data and as prepared with --judge.")
    return measure_alignment(args.output, heard)


def _carriers(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
    from napari_ciml.research.studies.weight_attribution import measure_carriers

    checkpoint = options.load(args.checkpoint or find_bundled_checkpoint(), heard)
    return measure_carriers(checkpoint, args.output, heard)


def _learning(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
    from napari_ciml.research.studies.finetuning import LearningStudy, measure_learning
    from napari_ciml.training.settings import FineTuneSettings

    study = LearningStudy(
        settings=FineTuneSettings(minutes=args.minutes, steps=args.steps),
        protocols=tuple(args.protocol or STRANGE),
        data=args.data,
        decomposition=options.decomposition(args.preset) if args.data else None,
        meaning=regions(args.regions) if args.regions else (),
        device=args.device,
    )
    checkpoint = options.load(args.checkpoint or find_bundled_checkpoint(), heard)
    return measure_learning(checkpoint, args.output, heard, study)


def _table(args: argparse.Namespace, heard: ProgressMonitor) -> Path:
    from napari_ciml.research.studies.reproduce import reproduce

    return reproduce(
        args.name,
        args.budget,
        args.output,
        heard,
        data=args.data,
        preset=args.preset,
        device=args.device,
        jobs=args.jobs,
    )


_STUDIES: dict[str, Callable[[argparse.Namespace, ProgressMonitor], Path]] = {
    "shapes": _shapes,
    "ablation": _table,
    "decompositions": _table,
    "beta": _table,
    "filters": _table,
    "baselines": _table,
    "peers": _peers,
    "faithfulness": _faithfulness,
    "carriers": _carriers,
    "registration": _registration,
    "learning": _learning,
    "report": _report,
}
_ON_REAL_CASES = (_table, _faithfulness)
"""What ``--budget paper`` needs a data set for."""

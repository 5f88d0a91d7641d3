"""``napari-ciml reproduce``."""

import argparse
from pathlib import Path

from napari_ciml.cli import options

_NAMES = ("shapes", "ablation", "decompositions", "beta", "filters", "baselines")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("reproduce", help="see which of the paper's claims hold")
    parser.add_argument("name", choices=_NAMES, metavar="NAME", help=", ".join(_NAMES))
    parser.add_argument("--budget", choices=("small", "paper"), default="small")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a data set, for --budget paper")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--jobs", type=options.positive, metavar="N", help="runs side by side")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Do the study, or go on with it."""
    from napari_ciml.experiments.studies.reproduce import reproduce

    table = reproduce(
        args.name,
        args.budget,
        args.output,
        options.monitor(),
        data=args.data,
        device=args.device,
        jobs=args.jobs,
    )
    print(table)

"""``napari-ciml phantom``."""

import argparse
from pathlib import Path

from napari_ciml.cli import options


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("phantom", help="write phantom cases with their reference")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=options.positive, default=1, metavar="N")
    parser.add_argument("--seed", type=options.positive_or_zero, default=0, metavar="S")
    parser.add_argument("--kind", choices=("glioma", "petct"), default="glioma")
    parser.add_argument(
        "--spacing", type=options.millimetres, default=2.0, metavar="MM", help="voxel size"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the phantoms."""
    from napari_ciml.experiments.phantoms import write_phantoms
    from napari_ciml.files import prepare_folder

    folder = prepare_folder(args.output)
    write_phantoms(folder, args.kind, args.count, args.seed, args.spacing, options.monitor())
    print(f"{args.count} {args.kind} phantom(s) in {folder}")

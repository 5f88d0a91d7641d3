"""``napari-ciml phantom``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.research.phantoms.protocols import PROTOCOLS, STANDARD

if TYPE_CHECKING:
    from napari_ciml.research.phantoms.heads import HeadFolder

_MAX_ROWS = 8
"""Largest number of phantoms in a picture."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("phantom", help="write synthetic cases with their reference")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=argument_types.positive, default=1, metavar="N")
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0, metavar="S")
    parser.add_argument("--kind", choices=("glioma", "petct"), default="glioma")
    parser.add_argument(
        "--spacing", type=argument_types.millimetres, default=2.0, metavar="MM", help="voxel size"
    )
    parser.add_argument(
        "--exclusive",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="FRACTION",
        help="fraction of the gliomas in which only one modality shows a region's border",
    )
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        default=STANDARD,
        help="MR protocol of the gliomas. "
        + "; ".join(f"{name}: {protocol.about}" for name, protocol in PROTOCOLS.items()),
    )
    parser.add_argument(
        "--anatomies",
        type=Path,
        metavar="DIR",
        help="label maps of heads with FreeSurfer's values at 1 mm, as anatomies of gliomas, with "
        "dura and venous sinuses; default: the ICBM 2009a atlas",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw the first phantoms, one per row"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the phantoms."""
    from napari_ciml.errors import InputError
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
    from napari_ciml.research.phantoms.heads import find_heads

    if args.anatomies and args.kind != "glioma":
        raise InputError("--anatomies are for gliomas; leave it out, or choose --kind glioma.")
    heads = find_heads(args.anatomies) if args.anatomies else None
    folder = ensure_writable_folder(args.output)
    settings = PhantomSettings(args.kind, args.spacing, args.exclusive, args.protocol, heads)
    write_phantoms(folder, settings, args.count, args.seed, options.monitor())
    if args.picture:
        _draw(args, heads)
    print(f"{args.count} {args.kind} phantom(s) in {folder}")


def _draw(args: argparse.Namespace, heads: "HeadFolder | None") -> None:
    from napari_ciml.research.phantoms import make_phantom
    from napari_ciml.research.phantoms.picture import draw_phantoms

    seeds = range(args.seed, args.seed + min(args.count, _MAX_ROWS))
    phantoms = [
        make_phantom(args.kind, seed, args.spacing, protocol=args.protocol, heads=heads)
        for seed in seeds
    ]
    draw_phantoms(phantoms, args.picture)

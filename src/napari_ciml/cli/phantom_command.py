"""``napari-ciml phantom``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.research.phantoms.protocols import PROTOCOLS

if TYPE_CHECKING:
    from napari_ciml.research.phantoms.heads import HeadFolder

_ROWS = 8
"""Of a picture, at most."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("phantom", help="write phantom cases with their reference")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=argument_types.positive, default=1, metavar="N")
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0, metavar="S")
    parser.add_argument("--kind", choices=("glioma", "petct"), default="glioma")
    parser.add_argument(
        "--spacing", type=argument_types.millimetres, default=2.0, metavar="MM", help="voxel size"
    )
    parser.add_argument(
        "--carried",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="SHARE",
        help="of the gliomas in which only one modality shows a region's border",
    )
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        default="usual",
        help="of gliomas. " + "; ".join(f"{name}: {p.about}" for name, p in PROTOCOLS.items()),
    )
    parser.add_argument(
        "--anatomies",
        type=Path,
        metavar="DIR",
        help="label maps of heads with FreeSurfer's values, at 1 mm, whose brains gliomas are put "
        "into, with dura and venous sinuses; default: the ICBM 2009a atlas",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw the first of them, a row each"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the phantoms."""
    from napari_ciml.errors import InputError
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.research.phantoms import write_phantoms
    from napari_ciml.research.phantoms.heads import find_heads

    if args.anatomies and args.kind != "glioma":
        raise InputError("--anatomies are for gliomas; leave it out, or choose --kind glioma.")
    heads = find_heads(args.anatomies) if args.anatomies else None
    folder = ensure_writable_folder(args.output)
    wanted = (args.kind, args.count, args.seed, args.spacing)
    write_phantoms(folder, *wanted, options.monitor(), args.carried, args.protocol, heads)
    if args.picture:
        _draw(args, heads)
    print(f"{args.count} {args.kind} phantom(s) in {folder}")


def _draw(args: argparse.Namespace, heads: "HeadFolder | None") -> None:
    from napari_ciml.research.phantoms import make_phantom
    from napari_ciml.research.phantoms.picture import draw_phantoms

    seeds = range(args.seed, args.seed + min(args.count, _ROWS))
    made = [
        make_phantom(args.kind, seed, args.spacing, protocol=args.protocol, heads=heads)
        for seed in seeds
    ]
    draw_phantoms(made, args.picture)

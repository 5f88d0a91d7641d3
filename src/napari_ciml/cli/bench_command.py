"""``napari-ciml bench``."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.files import atomic_write

if TYPE_CHECKING:
    from napari_ciml.research.bench.report import BenchResults


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench", help="measure speed and memory next to MONAI and nnU-Net, in one run"
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument(
        "--quick", action="store_true", help="a quarter of the volume, in two minutes"
    )
    parser.add_argument("--base-filters", type=argument_types.positive, default=32, metavar="C")
    parser.add_argument(
        "--edge",
        type=_edge,
        metavar="N",
        help="a cube of N x N x N voxels instead of 240 x 240 x 155",
    )
    parser.add_argument(
        "--skip",
        nargs="+",
        action="extend",
        default=[],
        choices=("torch", "monai", "gradcam", "nnunet", "window"),
        help="parts to leave out",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=35.0,
        metavar="M",
        help="time limit, after which the slower contenders are terminated; default: 35",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the JSON here after every contender, so that an interruption loses nothing",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the benchmark; print the table or the JSON."""
    from napari_ciml.research.bench.report import as_json
    from napari_ciml.research.bench.run import run_bench
    from napari_ciml.research.bench.table import render

    def save(results: "BenchResults") -> None:
        if args.output is not None:
            with atomic_write(args.output) as path:
                path.write_text(json.dumps(as_json(results), indent=2), encoding="utf-8")

    results = run_bench(
        # Standard output may be parsed as JSON, so notices go to stderr, too.
        options.monitor(sys.stderr),
        quick=args.quick,
        base_filters=args.base_filters,
        edge=args.edge,
        skip=args.skip,
        minutes=args.minutes,
        save=save,
    )
    print(json.dumps(as_json(results), indent=2) if args.json else render(results))


def _edge(text: str) -> int:
    number = int(text)
    if not 32 <= number <= 512:
        raise argparse.ArgumentTypeError(f"{text} is not from 32 to 512")
    return number

"""``napari-ciml bench``."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.files import atomic_write
from napari_ciml.progress import Progress, ProgressMonitor

if TYPE_CHECKING:
    from napari_ciml.research.bench.report import BenchResults


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("bench", help="speed beside the peers, in one run")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    parser.add_argument(
        "--quick", action="store_true", help="a quarter of the volume, in two minutes"
    )
    parser.add_argument("--base-filters", type=argument_types.positive, default=32, metavar="C")
    parser.add_argument(
        "--edge", type=_edge, metavar="N", help="a cube of N voxels an edge instead of 240x240x155"
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
        help="the slower contenders are ended after so many; default 35",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the JSON here after every contender, so that nothing measured is lost",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table or the JSON."""
    from napari_ciml.research.bench.report import as_json
    from napari_ciml.research.bench.run import run_bench
    from napari_ciml.research.bench.table import render

    def keep(found: "BenchResults") -> None:
        if args.output is not None:
            with atomic_write(args.output) as path:
                path.write_text(json.dumps(as_json(found), indent=2), encoding="utf-8")

    found = run_bench(
        _monitor(),
        quick=args.quick,
        base_filters=args.base_filters,
        edge=args.edge,
        skip=args.skip,
        minutes=args.minutes,
        keep=keep,
    )
    print(json.dumps(as_json(found), indent=2) if args.json else render(found))


def _edge(text: str) -> int:
    number = int(text)
    if not 32 <= number <= 512:
        raise argparse.ArgumentTypeError(f"{text} is not from 32 to 512")
    return number


def _monitor() -> ProgressMonitor:
    """Return a monitor that speaks on stderr alone: stdout may be read by a program."""
    live = sys.stderr.isatty()

    def report(progress: Progress) -> None:
        print(
            f"{options.CLEAR}{options.format_progress(progress)}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def tell(sentence: str) -> None:
        print(f"{options.CLEAR if live else ''}{sentence}", file=sys.stderr, flush=True)

    return ProgressMonitor(report=report if live else lambda _: None, notify=tell)

"""``napari-ciml measure``."""

import argparse
from pathlib import Path

from napari_ciml.cli import options


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "measure",
        help="score a checkpoint on a data set",
        description="Score a checkpoint with every subset of its modalities, its calibration, and "
        "the typical complementary-information weights.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "data", type=Path, metavar="DATA_DIR", help="cases with label maps, as for train"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--annotate",
        type=Path,
        metavar="FILE",
        help="write a copy of the checkpoint with its weight statistics (.safetensors)",
    )
    options.add_device(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score the checkpoint, and print the summary page."""
    from napari_ciml.cases.datasets import find_cases
    from napari_ciml.training.evaluation import evaluate_checkpoint

    monitor = options.monitor()
    checkpoint = options.load(args.checkpoint, monitor)
    cases = find_cases(args.data)
    page = evaluate_checkpoint(checkpoint, cases, args.device, monitor, args.output, args.annotate)
    print(page.read_text(encoding="utf-8"))
    print(page)

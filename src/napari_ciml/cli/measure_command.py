"""``napari-ciml measure``."""

import argparse
from pathlib import Path

from napari_ciml.cli import options


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "measure",
        help="score a checkpoint on a data set",
        description="Score a checkpoint with every subset of its modalities, and its calibration; "
        "say which complementary-information weights are usual.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "data", type=Path, metavar="DATA_DIR", help="cases with label maps, as for train"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="write a copy of the checkpoint that knows which weights are usual (.safetensors)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the page."""
    from napari_ciml.cases.datasets import find_cases
    from napari_ciml.training.evaluation import evaluate_checkpoint

    heard = options.monitor()
    checkpoint = options.load(args.checkpoint, heard)
    cases = find_cases(args.data)
    page = evaluate_checkpoint(checkpoint, cases, args.device, heard, args.output, args.into)
    print(page.read_text(encoding="utf-8"))
    print(page)

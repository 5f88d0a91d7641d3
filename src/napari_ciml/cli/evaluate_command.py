"""``napari-ciml evaluate``."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from napari_ciml.cli import options
from napari_ciml.cli.regions import KNOWN, regions
from napari_ciml.progress import ProgressMonitor


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate", help="compare a label map with a reference: Dice, surface distances, volumes"
    )
    parser.add_argument("prediction", type=Path, metavar="PREDICTION")
    parser.add_argument("reference", type=Path, metavar="REFERENCE")
    parser.add_argument(
        "--regions",
        required=True,
        metavar="PRESET",
        help="label convention of both label maps: " + KNOWN,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Compare, and print a table or JSON."""
    from napari_ciml.metrics import evaluate

    monitor = ProgressMonitor() if args.json else options.monitor()
    scores = evaluate(args.prediction, args.reference, regions(args.regions), monitor)
    if args.json:
        print(json.dumps([asdict(score) for score in scores], indent=2).replace("NaN", "null"))
        return
    print(f"{'region':<10}{'Dice':>8}{'HD95 mm':>10}{'mean mm':>10}{'mL':>10}{'ref mL':>10}")
    for score in scores:
        print(
            f"{score.region:<10}{score.dice:>8.4f}{score.hd95_mm:>10.2f}"
            f"{score.surface_distance_mm:>10.2f}"
            f"{score.volume_prediction_ml:>10.2f}{score.volume_reference_ml:>10.2f}"
        )

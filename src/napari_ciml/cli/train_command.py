"""``napari-ciml train``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import options

if TYPE_CHECKING:
    from napari_ciml.cases.intensity import Normalisation
    from napari_ciml.training.settings import TrainSettings

CHECKPOINT = "checkpoint.safetensors"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("train", help="train a network on a folder of cases")
    parser.add_argument("data", type=Path, metavar="DATA_DIR", help="a folder of case folders")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--preset", required=True, metavar="NAME", help="decomposition (or YAML)")
    parser.add_argument("--name", default="untitled", help="what the checkpoint is called")
    parser.add_argument("--description", default="", help="what it is for, where it fails")
    parser.add_argument("--base-filters", type=options.positive, default=32, metavar="C")
    parser.add_argument("--norm", choices=("batch", "instance"), default="batch")
    parser.add_argument(
        "--patch", type=options.positive, default=64, metavar="P", help="edge in voxels"
    )
    parser.add_argument(
        "--spacing", type=options.millimetres, default=1.0, metavar="MM", help="voxel size"
    )
    parser.add_argument("--epochs", type=options.positive, default=500, metavar="N")
    parser.add_argument(
        "--iterations", type=options.positive, default=100, metavar="N", help="per epoch"
    )
    parser.add_argument("--learning-rate", type=options.rate, default=1e-4, metavar="R")
    parser.add_argument("--beta", type=options.rate, default=0.5)
    parser.add_argument(
        "--held-out",
        type=options.positive_or_zero,
        default=0,
        metavar="N",
        help="cases to score on",
    )
    parser.add_argument("--seed", type=options.positive_or_zero, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train, score on the cases held out, write the checkpoint."""
    from napari_ciml.files import prepare_folder
    from napari_ciml.training.run import train_and_score

    settings = _settings(args)
    path = prepare_folder(args.output) / CHECKPOINT
    info = train_and_score(
        args.data,
        path,
        settings,
        name=args.name,
        description=args.description,
        held_out=args.held_out,
        half=args.half,
        device=args.device,
        resume=args.resume,
        monitor=options.monitor(),
    )
    for score in info.scores:
        print(f"{score.region}: mean Dice {score.dice:.3f} over {score.cases} cases held out")
    print(path)


def _settings(args: argparse.Namespace) -> "TrainSettings":
    from napari_ciml.errors import InputError
    from napari_ciml.network.settings import STRIDE, NetworkSettings
    from napari_ciml.training.settings import TrainSettings

    if args.patch < STRIDE or args.patch % STRIDE:
        raise InputError(f"--patch {args.patch}: must be a multiple of {STRIDE}.")
    if args.norm == "instance" and args.patch < 2 * STRIDE:
        raise InputError(f"--patch {args.patch}: instance norm needs at least {2 * STRIDE}.")
    wanted = options.decomposition(args.preset)
    return TrainSettings(
        decomposition=wanted,
        network=NetworkSettings(base_filters=args.base_filters, norm=args.norm),
        normalisation={name: _normalisation(name) for name in wanted.used_modalities},
        spacing=(args.spacing,) * 3,
        patch=(args.patch,) * 3,
        epochs=args.epochs,
        iterations=args.iterations,
        learning_rate=args.learning_rate,
        beta=args.beta,
        seed=args.seed,
    )


def _normalisation(modality: str) -> "Normalisation":
    """CT has fixed units, PET is in SUV; everything else is normalised by its own statistics."""
    if modality == "CT":
        return "ct"
    return "suv" if modality == "PET" else "zscore"

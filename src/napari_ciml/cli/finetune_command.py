"""``napari-ciml finetune``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import options

if TYPE_CHECKING:
    from napari_ciml.training.finetune.outcome import FineTuned


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "finetune",
        help="learn from corrected cases",
        description="Train on from a checkpoint; before and after are measured, side by side.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "cases", type=Path, nargs="+", metavar="CASE", help="folders with a label map each"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--minutes", type=options.minutes, default=5.0, metavar="M")
    parser.add_argument(
        "--replay", type=Path, metavar="DIR", help="cases not to forget; default: the sample case"
    )
    parser.add_argument("--adapt", choices=("decoders", "all", "new"), default="all")
    parser.add_argument(
        "--decomposition", metavar="NAME|YAML", help="another one; weights are carried over"
    )
    parser.add_argument("--learning-rate", type=options.rate, default=3e-4, metavar="R")
    parser.add_argument("--beta", type=options.rate, default=0.5)
    parser.add_argument(
        "--tolerance", type=options.rate, default=0.01, help="Dice that replay cases may lose"
    )
    parser.add_argument("--seed", type=options.positive_or_zero, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Learn, and print what it brought."""
    from napari_ciml.files import prepare_folder
    from napari_ciml.resources import sample_data
    from napari_ciml.training.datasets import labelled_case, replay_cases
    from napari_ciml.training.finetune.data import read_cases, space_for
    from napari_ciml.training.finetune.run import finetune
    from napari_ciml.training.settings import FineTuneSettings, Hardware

    heard = options.monitor()
    folder = prepare_folder(args.output)
    checkpoint = options.load(args.checkpoint, heard)
    wanted = options.wanted_decomposition(args, checkpoint.info)
    space = space_for(checkpoint.info, wanted)
    replay = replay_cases(args.replay, sample_data(), wanted.used_modalities)
    done = finetune(
        checkpoint,
        read_cases([labelled_case(path) for path in args.cases], space, heard),
        read_cases(replay, space, heard),
        FineTuneSettings(
            adapt=args.adapt,
            minutes=args.minutes,
            learning_rate=args.learning_rate,
            beta=args.beta,
            tolerance=args.tolerance,
            seed=args.seed,
        ),
        folder / "checkpoint.safetensors",
        heard,
        decomposition=wanted,
        hardware=Hardware(device=args.device, workers=0),
    )
    _tell(done)


def _tell(done: "FineTuned") -> None:
    print(f"{'region':<10}{'corrected':>12}{'after':>8}{'replay':>10}{'after':>8}")
    for region, before in done.corrected_before.items():
        replay = [d.get(region, float("nan")) for d in (done.replay_before, done.replay_after)]
        print(
            f"{region:<10}{before:>12.3f}{done.corrected_after[region]:>8.3f}"
            f"{replay[0]:>10.3f}{replay[1]:>8.3f}"
        )
    if not done.harmless:
        print("A region loses more than the tolerance on the replay cases; look before you use it.")
    print(done.path)

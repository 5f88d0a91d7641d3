"""``napari-ciml finetune``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.interrupt import graceful_interrupt
from napari_ciml.cli.regions import KNOWN, regions
from napari_ciml.progress import Progress, ProgressMonitor

if TYPE_CHECKING:
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.results import FineTuneResult
    from napari_ciml.training.settings import FineTuneSettings


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "finetune",
        help="fine-tune a checkpoint on corrected cases",
        description="Fine-tune a checkpoint on corrected cases, and print Dice before and after.",
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", metavar="CHECKPOINT")
    parser.add_argument(
        "cases", type=Path, nargs="*", metavar="CASE", help="folders, each with a label map"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--resume", action="store_true", help="resume the fine-tune in RUN")
    _add_data(parser)
    _add_schedule(parser)
    parser.set_defaults(run=run)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="DIR",
        help="cases that must not be forgotten; default: the bundled samples",
    )
    parser.add_argument(
        "--decomposition",
        metavar="NAME|YAML",
        help="decomposition to learn; weights are transferred; default: the checkpoint's own",
    )
    parser.add_argument(
        "--regions",
        metavar="PRESET",
        help="label convention of the cases; default: that of the decomposition; " + KNOWN,
    )
    parser.add_argument(
        "--held-out",
        type=argument_types.fraction_below_one,
        default=0.2,
        metavar="FRACTION",
        help="fraction of the cases held out for validation, in [0, 1): entire cases, or a slab of "
        "each if it amounts to less than one case; default: 0.2",
    )
    parser.add_argument(
        "--replay-held-out",
        type=argument_types.fraction_below_one,
        default=0.5,
        metavar="FRACTION",
        help="the same for the replay cases; default: 0.5",
    )


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes",
        type=argument_types.minutes,
        default=5.0,
        metavar="M",
        help="time budget; default: 5",
    )
    parser.add_argument(
        "--steps",
        type=argument_types.positive,
        metavar="N",
        help="budget in optimiser steps instead of time",
    )
    parser.add_argument(
        "--adapt",
        choices=("decoders", "all", "new"),
        default="all",
        help="parameters to train; new: only those that a changed decomposition adds",
    )
    parser.add_argument(
        "--learning-rate",
        type=argument_types.rate,
        default=3e-4,
        metavar="R",
        help="initial learning rate of Adam; default: 3e-4",
    )
    parser.add_argument(
        "--beta",
        type=argument_types.rate,
        default=0.5,
        help="weight of the KL term (eq. 8); default: 0.5",
    )
    parser.add_argument(
        "--interpolation",
        type=argument_types.fraction,
        default=1.0,
        metavar="FRACTION",
        help="largest position between the old weights (0) and the fine-tuned ones (1); beyond 0.5 "
        "only while the replay cases lose nothing; default: 1",
    )
    parser.add_argument(
        "--tolerance",
        type=argument_types.rate,
        default=0.01,
        help="mean Dice that the replay cases may lose; default: 0.01",
    )
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0)
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Fine-tune, and print Dice before and after."""
    from napari_ciml.errors import CancelledError, InputError
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.results import Controls, StepReport
    from napari_ciml.training.finetune.run import run_job

    monitor = options.monitor()
    if not args.resume and (args.checkpoint is None or not args.cases):
        raise InputError("Name a checkpoint and the cases to learn from, or --resume.")
    folder = FineTuneJobFolder(ensure_writable_folder(args.output) / "unfinished")

    def report(step: StepReport) -> None:
        monitor.report(Progress("Fine-tuning", round(1000 * step.fraction_done), 1000))

    try:
        with graceful_interrupt(monitor):
            if not args.resume:
                _prepare(args, folder, monitor)
            result = run_job(folder, monitor, Controls(report=report))
    except CancelledError:
        if folder.exists:
            monitor.notify(
                f"The progress is saved; resume with: finetune -o {args.output} --resume"
            )
        raise
    _print(result)


def _prepare(
    args: argparse.Namespace, folder: "FineTuneJobFolder", monitor: ProgressMonitor
) -> None:
    """Read the cases and write the job."""
    from napari_ciml.network.checkpoint_info import read_info
    from napari_ciml.training.finetune.inputs import FineTuneInput, FineTuneTarget, prepare

    convention = regions(args.regions) if args.regions else ()
    inputs = [FineTuneInput(path, regions=convention) for path in args.cases]
    if args.replay:
        inputs.append(FineTuneInput(args.replay, learn=False, regions=convention))
    target = FineTuneTarget(
        args.checkpoint,
        options.requested_decomposition(args, read_info(args.checkpoint)),
        args.device,
        args.output.resolve() / "checkpoint.safetensors",
    )
    prepare(folder, inputs, _settings(args), target, monitor)


def _settings(args: argparse.Namespace) -> "FineTuneSettings":
    from napari_ciml.training.settings import FineTuneSettings

    return FineTuneSettings(
        trainable=args.adapt,
        minutes=args.minutes,
        steps=args.steps,
        learning_rate=args.learning_rate,
        beta=args.beta,
        interpolation=args.interpolation,
        tolerance=args.tolerance,
        held_out=args.held_out,
        replay_held_out=args.replay_held_out,
        seed=args.seed,
    )


def _print(result: "FineTuneResult") -> None:
    validation = "held out" if result.held_out else "corrected"
    print(f"{'region':<10}{validation:>12}{'after':>8}{'replay':>10}{'after':>8}")
    for region, before in result.corrected_before.items():
        replay = [
            scores.get(region, float("nan"))
            for scores in (result.replay_before, result.replay_after)
        ]
        print(
            f"{region:<10}{before:>12.3f}{result.corrected_after[region]:>8.3f}"
            f"{replay[0]:>10.3f}{replay[1]:>8.3f}"
        )
    print(f"Dice. Selected on {result.validation_set}; replay measured on {result.replay_set}.")
    if result.interpolation:
        print(f"Interpolated {result.interpolation:.0%} of the way to the fine-tuned weights.")
    else:
        print("No version was better; the new checkpoint has the old weights.")
    if not result.retains_replay:
        print("The replay cases lose more than the tolerance; check it before you use it.")
    print(result.path)

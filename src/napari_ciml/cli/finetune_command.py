"""``napari-ciml finetune``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.interrupt import graceful_interrupt
from napari_ciml.cli.regions import KNOWN, labelled
from napari_ciml.progress import Progress, ProgressMonitor

if TYPE_CHECKING:
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.results import FineTuneResult


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "finetune",
        help="learn from corrected cases",
        description="Train on from a checkpoint; before and after are measured, side by side.",
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", metavar="CHECKPOINT")
    parser.add_argument(
        "cases", type=Path, nargs="*", metavar="CASE", help="folders with a label map each"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what was interrupted in RUN"
    )
    parser.add_argument("--minutes", type=argument_types.minutes, default=5.0, metavar="M")
    parser.add_argument(
        "--steps",
        type=argument_types.positive,
        metavar="N",
        help="of the optimiser, in place of time",
    )
    parser.add_argument(
        "--replay", type=Path, metavar="DIR", help="cases not to forget; default: the samples"
    )
    parser.add_argument("--adapt", choices=("decoders", "all", "new"), default="all")
    parser.add_argument(
        "--decomposition", metavar="NAME|YAML", help="another one; weights are carried over"
    )
    parser.add_argument(
        "--regions",
        metavar="PRESET",
        help="what the label values of the cases named mean, if not what the decomposition says: "
        + KNOWN,
    )
    parser.add_argument("--learning-rate", type=argument_types.rate, default=3e-4, metavar="R")
    parser.add_argument("--beta", type=argument_types.rate, default=0.5)
    parser.add_argument(
        "--take",
        type=argument_types.fraction,
        default=1.0,
        metavar="SHARE",
        help="how far to go at most from the old weights (0) to the learnt ones (1); beyond "
        "half-way only where replay cases lose nothing",
    )
    parser.add_argument(
        "--tolerance",
        type=argument_types.rate,
        default=0.01,
        help="mean Dice that replay cases may lose",
    )
    parser.add_argument(
        "--held-out",
        type=argument_types.fraction_below_one,
        default=0.2,
        metavar="SHARE",
        help="from 0 to below 1, that judges versions and teaches nothing: of the cases if it "
        "makes one, else a slab of each",
    )
    parser.add_argument(
        "--replay-held-out",
        type=argument_types.fraction_below_one,
        default=0.5,
        metavar="SHARE",
        help="the same of the cases not to forget; with 0 they all teach what they judge",
    )
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Learn, and print what it brought."""
    from napari_ciml.errors import CancelledError, InputError
    from napari_ciml.files import ensure_writable_folder
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.learn import run_job
    from napari_ciml.training.finetune.results import Controls

    heard = options.monitor()
    if not args.resume and (args.checkpoint is None or not args.cases):
        raise InputError("Name a checkpoint and the cases to learn from, or --resume.")
    folder = FineTuneJobFolder(ensure_writable_folder(args.output) / "unfinished")
    told = Controls(
        progressed=lambda p: heard.report(Progress("Learning", round(1000 * p.share), 1000))
    )
    try:
        with graceful_interrupt(heard):
            if not args.resume:
                _prepare(args, folder, heard)
            done = run_job(folder, heard, told)
    except CancelledError:
        if folder.begun:
            heard.notify(f"What was learnt is kept; go on with: finetune -o {args.output} --resume")
        raise
    _tell(done)


def _prepare(args: argparse.Namespace, folder: "FineTuneJobFolder", heard: ProgressMonitor) -> None:
    """Read the cases, and write down what is to be done with them."""
    from napari_ciml.cases.datasets import labelled_case, replay_cases
    from napari_ciml.paths import sample_data
    from napari_ciml.training.finetune.job import FineTuneJob
    from napari_ciml.training.finetune.patches import read_cases, space_for
    from napari_ciml.training.settings import FineTuneSettings

    checkpoint = options.load(args.checkpoint, heard)
    wanted = options.wanted_decomposition(args, checkpoint.info)
    space = space_for(checkpoint.info, wanted)
    replay = replay_cases(args.replay, sample_data(), wanted.input_modalities)
    settings = FineTuneSettings(
        trainable=args.adapt,
        minutes=args.minutes,
        steps=args.steps,
        learning_rate=args.learning_rate,
        beta=args.beta,
        interpolation=args.take,
        tolerance=args.tolerance,
        held_out=args.held_out,
        replay_held_out=args.replay_held_out,
        seed=args.seed,
    )
    lesson = FineTuneJob(
        checkpoint=args.checkpoint.resolve(),
        sha256=checkpoint.sha256,
        path=args.output.resolve() / "checkpoint.safetensors",
        decomposition=wanted,
        settings=settings,
        device=args.device,
    )
    theirs = space_for(checkpoint.info, labelled(wanted, args.regions))
    corrected = read_cases([labelled_case(path) for path in args.cases], theirs, heard)
    others = read_cases(replay, theirs if args.replay else space, heard)
    folder.write(lesson, corrected, others)


def _tell(done: "FineTuneResult") -> None:
    judged = "held out" if done.held_out else "corrected"
    print(f"{'region':<10}{judged:>12}{'after':>8}{'replay':>10}{'after':>8}")
    for region, before in done.corrected_before.items():
        replay = [d.get(region, float("nan")) for d in (done.replay_before, done.replay_after)]
        print(
            f"{region:<10}{before:>12.3f}{done.corrected_after[region]:>8.3f}"
            f"{replay[0]:>10.3f}{replay[1]:>8.3f}"
        )
    print(f"Dice; the version was chosen on {done.chosen_on}; replay is {done.kept_on}.")
    if done.interpolation:
        print(f"It goes {done.interpolation:.0%} of the way to what was learnt.")
    else:
        print("Nothing better was found; the version is what it began with.")
    if not done.retains_replay:
        print("The replay cases lose more than the tolerance; look before you use it.")
    print(done.path)

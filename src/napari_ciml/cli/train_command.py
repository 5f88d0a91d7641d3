"""``napari-ciml train``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.regions import KNOWN, with_regions

if TYPE_CHECKING:
    from napari_ciml.cases.intensity import Normalisation
    from napari_ciml.training.run_plan import MixedDataset, RunPlan
    from napari_ciml.training.settings import TrainSettings

_NORMALISATIONS: "tuple[Normalisation, ...]" = ("zscore", "ct", "suv", "dataset")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a network on a data set",
        description="Train a network; the defaults are those of section 4.2 of the paper.",
    )
    parser.add_argument(
        "data", type=Path, metavar="DATA_DIR", help="BraTS, autoPET, HECKTOR 2022, or case folders"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument(
        "--preset", required=True, metavar="NAME", help="decomposition, or a YAML file"
    )
    parser.add_argument(
        "--regions",
        metavar="PRESET",
        help="label convention of DATA_DIR; default: that of --preset; " + KNOWN,
    )
    _add_network(parser)
    _add_schedule(parser)
    _add_augmentation(parser)
    _add_cohort(parser)
    _add_hardware(parser)
    parser.set_defaults(run=run)


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="untitled", help="name of the checkpoint")
    parser.add_argument("--description", default="", help="intended use and limits")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument(
        "--base-filters",
        type=argument_types.positive,
        default=32,
        metavar="C",
        help="channels of the first level; default: 32",
    )
    parser.add_argument(
        "--norm", choices=("batch", "instance"), help="default: batch for BraTS, else instance"
    )
    parser.add_argument(
        "--patch",
        type=argument_types.positive,
        metavar="P",
        help="edge of the patches in voxels; default: 64 for BraTS, else 128",
    )
    parser.add_argument(
        "--largest-patch",
        type=argument_types.positive,
        metavar="P",
        help="draw the patch size of each step between --patch and this, and use tiles of this "
        "size in inference; default: patches of one size",
    )
    parser.add_argument(
        "--spacing",
        type=argument_types.millimetres,
        metavar="MM",
        help="voxel size; default: 1, for autopet that of the PET",
    )
    parser.add_argument(
        "--normalise",
        action="append",
        default=[],
        metavar="NAME=METHOD",
        help="normalisation of a modality: zscore, ct, suv, or dataset for percentiles, mean and "
        "standard deviation over the regions of the training cases (repeatable); default: CT "
        "dataset, PET suv, others zscore",
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="CHECKPOINT",
        help="initialise with the weights of a checkpoint with as many base filters or a fraction "
        "of them, wherever they fit; default: random weights",
    )


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=argument_types.positive, default=500, metavar="N")
    parser.add_argument(
        "--iterations", type=argument_types.positive, default=100, metavar="N", help="per epoch"
    )
    parser.add_argument("--batch-size", type=argument_types.positive, default=2, metavar="N")
    parser.add_argument(
        "--learning-rate",
        type=argument_types.rate,
        default=1e-4,
        metavar="R",
        help="initial learning rate of Adam (eq. 13); default: 1e-4",
    )
    parser.add_argument(
        "--beta",
        type=argument_types.rate,
        default=0.5,
        help="weight of the KL term (eq. 8); default: 0.5",
    )
    parser.add_argument(
        "--ema-decay",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="DECAY",
        help="decay of an exponential moving average of the weights, for example 0.999; default: "
        "no average",
    )
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0)
    parser.add_argument("--resume", action="store_true", help="resume the run in RUN")
    parser.add_argument(
        "--score-only",
        action="store_true",
        help="do not train any further; score the present state of the run in RUN",
    )


def _add_augmentation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--modality-dropout",
        type=argument_types.fraction_below_one,
        default=0.15,
        metavar="FRACTION",
        help="probability that a step mutes all messages of an auxiliary modality; default: 0.15",
    )
    parser.add_argument(
        "--message-dropout",
        type=argument_types.fraction_below_one,
        default=0.1,
        metavar="FRACTION",
        help="probability that a step mutes a single message; default: 0.1",
    )
    parser.add_argument(
        "--scanner-augmentation",
        action="store_true",
        help="vary tone curve, bias field, contrast and blur of each modality like other scanners",
    )
    parser.add_argument(
        "--transplantation",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="FRACTION",
        help="fraction of the patches that get a lesion of another case, deformed and with matched "
        "intensities",
    )


def _add_cohort(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folds",
        type=argument_types.positive,
        default=1,
        metavar="K",
        help="cross-validate in K folds",
    )
    parser.add_argument(
        "--held-out",
        type=argument_types.positive_or_zero,
        default=0,
        metavar="N",
        help="number of cases, the last by name, that are used for scoring only",
    )
    parser.add_argument(
        "--mix",
        type=argument_types.folder_and_fraction,
        action="append",
        default=[],
        metavar="DIR=FRACTION",
        help="an additional data set, for example phantoms, and its fraction of the patches "
        "(repeatable); none of its cases is held out or scored",
    )
    parser.add_argument(
        "--skip-unusable", action="store_true", help="leave out cases that cannot be used"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="cache of prepared cases; default: RUN/cache"
    )


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    options.add_device(parser)
    parser.add_argument(
        "--devices",
        type=argument_types.positive,
        default=1,
        metavar="N",
        help="number of graphics cards (or, on the CPU, processes), each with its own batch",
    )
    parser.add_argument("--precision", choices=("auto", "32", "bf16", "16"), default="auto")
    parser.add_argument(
        "--activation-checkpointing",
        action="store_true",
        help="recompute activations instead of storing them; on one device this is turned on when "
        "memory is full",
    )
    parser.add_argument(
        "--workers",
        type=argument_types.positive_or_zero,
        metavar="N",
        help="number of processes that prepare patches",
    )


def run(args: argparse.Namespace) -> None:
    """Train, score, write the checkpoints, and print the scores."""
    from napari_ciml.training.run import run as run_plan

    result = run_plan(_plan(args), options.monitor())
    for cases, regions in result.summary.items():
        for region, summary in regions.items():
            distance = summary["hd95_mm_mean"]
            print(
                f"{cases}: {region}: Dice {summary['dice_mean']:.3f} +- {summary['dice_sd']:.3f}, "
                f"HD95 {'undefined' if distance is None else f'{distance:.1f} mm'} "
                f"({summary['cases']} cases)"
            )
    for path in result.checkpoints:
        print(path)


def _plan(args: argparse.Namespace) -> "RunPlan":
    import os

    from napari_ciml.training.run_plan import RunPlan
    from napari_ciml.training.settings import Hardware

    workers = min(8, max(1, (os.cpu_count() or 1) // 2)) if args.workers is None else args.workers
    return RunPlan(
        data=args.data,
        output=args.output,
        settings=_settings(args),
        hardware=Hardware(
            args.device, args.devices, args.precision, workers, args.activation_checkpointing
        ),
        name=args.name,
        description=args.description,
        folds=args.folds,
        held_out=args.held_out,
        half=args.half,
        skip_unusable=args.skip_unusable,
        resume=args.resume or args.score_only,
        score_only=args.score_only,
        cache=args.cache,
        pretrained=args.pretrained,
        mixed=_mixed(args),
    )


def _settings(args: argparse.Namespace) -> "TrainSettings":
    from napari_ciml.errors import InputError
    from napari_ciml.network.settings import STRIDE, NetworkSettings
    from napari_ciml.training.settings import TrainSettings, paper_settings

    defaults = paper_settings(with_regions(options.decomposition(args.preset), args.regions))
    patch = args.patch or defaults.patch[0]
    largest = args.largest_patch or patch
    norm = args.norm or defaults.network.norm
    if patch < STRIDE or patch % STRIDE:
        raise InputError(f"--patch {patch}: must be a multiple of {STRIDE}.")
    if largest < patch or largest % STRIDE:
        raise InputError(
            f"--largest-patch {largest}: must be a multiple of {STRIDE}, and no less than {patch}."
        )
    if norm == "instance" and patch < 2 * STRIDE:
        raise InputError(f"--patch {patch}: instance norm needs at least {2 * STRIDE}.")
    return TrainSettings(
        decomposition=defaults.decomposition,
        network=NetworkSettings(base_filters=args.base_filters, norm=norm),
        normalisation=defaults.normalisation | _normalisation(args, defaults),
        spacing=(args.spacing,) * 3 if args.spacing else defaults.spacing,
        patch=(patch,) * 3,
        largest_patch=(largest,) * 3 if largest > patch else None,
        batch_size=args.batch_size,
        epochs=args.epochs,
        iterations=args.iterations,
        learning_rate=args.learning_rate,
        beta=args.beta,
        modality_dropout=args.modality_dropout,
        message_dropout=args.message_dropout,
        scanner_augmentation=args.scanner_augmentation,
        transplantation=args.transplantation,
        mixture_fractions=tuple(mixed.fraction for mixed in _mixed(args)),
        ema_decay=args.ema_decay,
        seed=args.seed,
    )


def _mixed(args: argparse.Namespace) -> "tuple[MixedDataset, ...]":
    """Return the additional data sets."""
    from napari_ciml.errors import InputError
    from napari_ciml.training.run_plan import MixedDataset

    mixed = tuple(MixedDataset(folder, fraction) for folder, fraction in args.mix)
    if sum(dataset.fraction for dataset in mixed) >= 1:
        raise InputError("--mix: the fractions leave nothing for DATA_DIR; use smaller ones.")
    return mixed


def _normalisation(
    args: argparse.Namespace, settings: "TrainSettings"
) -> "dict[str, Normalisation]":
    """Return the requested normalisation by modality."""
    from napari_ciml.errors import InputError

    methods = {str(method): method for method in _NORMALISATIONS}
    requested: dict[str, Normalisation] = {}
    for text in args.normalise:
        name, _, method = text.partition("=")
        if name not in settings.normalisation or method not in methods:
            raise InputError(
                f"--normalise {text}: write NAME=METHOD, with one of "
                f"{', '.join(settings.normalisation)} and one of {', '.join(methods)}."
            )
        requested[name] = methods[method]
    return requested

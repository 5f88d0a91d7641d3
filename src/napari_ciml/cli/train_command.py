"""``napari-ciml train``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cli import argument_types, options
from napari_ciml.cli.regions import KNOWN, labelled

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
        description="Train as section 4.2 of the paper: the defaults are the paper's own.",
    )
    parser.add_argument(
        "data", type=Path, metavar="DATA_DIR", help="BraTS, autoPET, HECKTOR 2022, or case folders"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--preset", required=True, metavar="NAME", help="decomposition (or YAML)")
    parser.add_argument(
        "--regions",
        metavar="PRESET",
        help="which label values of DATA_DIR make the regions, if not those of --preset: " + KNOWN,
    )
    _add_network(parser)
    _add_schedule(parser)
    _add_cohort(parser)
    _add_hardware(parser)
    parser.set_defaults(run=run)


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="untitled", help="what the checkpoint is called")
    parser.add_argument("--description", default="", help="what it is for, where it fails")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument("--base-filters", type=argument_types.positive, default=32, metavar="C")
    parser.add_argument(
        "--norm", choices=("batch", "instance"), help="default: batch for BraTS, else instance"
    )
    parser.add_argument(
        "--patch",
        type=argument_types.positive,
        metavar="P",
        help="edge in voxels; default: 64 for BraTS, else 128",
    )
    parser.add_argument(
        "--largest-patch",
        type=argument_types.positive,
        metavar="P",
        help="draw the edges of each step's patches between --patch and this, and segment with "
        "tiles of this size; default: all of one size",
    )
    parser.add_argument(
        "--spacing",
        type=argument_types.millimetres,
        metavar="MM",
        help="voxel size; default: 1, for autopet the PET's",
    )


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalise",
        action="append",
        default=[],
        metavar="NAME=HOW",
        help="a modality's intensities: zscore, ct, suv, or dataset for percentiles, mean and "
        "deviation of the training cases' regions (repeatable); default: CT dataset, PET suv, "
        "others zscore",
    )
    parser.add_argument("--epochs", type=argument_types.positive, default=500, metavar="N")
    parser.add_argument(
        "--iterations", type=argument_types.positive, default=100, metavar="N", help="per epoch"
    )
    parser.add_argument("--batch-size", type=argument_types.positive, default=2, metavar="N")
    parser.add_argument("--learning-rate", type=argument_types.rate, default=1e-4, metavar="R")
    parser.add_argument("--beta", type=argument_types.rate, default=0.5)
    parser.add_argument(
        "--modality-dropout",
        type=argument_types.fraction_below_one,
        default=0.15,
        metavar="SHARE",
        help="of the steps in which an auxiliary modality is muted everywhere",
    )
    parser.add_argument(
        "--message-dropout",
        type=argument_types.fraction_below_one,
        default=0.1,
        metavar="SHARE",
        help="of the steps in which a message is muted",
    )
    parser.add_argument(
        "--scanners",
        action="store_true",
        help="show each modality of a patch as other scanners might: tones, fields, contrast, blur",
    )
    parser.add_argument(
        "--transplantation",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="SHARE",
        help="of the patches that get a lesion of another case, deformed, intensities matched",
    )
    parser.add_argument(
        "--average",
        type=argument_types.fraction_below_one,
        default=0.0,
        metavar="DECAY",
        help="keep a moving average of the weights, as 0.999; default: the last weights",
    )
    parser.add_argument("--seed", type=argument_types.positive_or_zero, default=0)
    parser.add_argument(
        "--start",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with these weights wherever they fit, of as many base filters or of a part of "
        "them; default: random ones",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    parser.add_argument(
        "--finish", action="store_true", help="no more training: score what RUN has learnt so far"
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
        help="cases, the last by name, that are only scored on",
    )
    parser.add_argument(
        "--mix",
        type=argument_types.folder_and_fraction,
        action="append",
        default=[],
        metavar="DIR=FRACTION",
        help="a further data set, phantoms for example, and the fraction of patches that are of "
        "it (repeatable); none of its cases is held out or scored on",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out unusable cases")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="for prepared cases; default: RUN/cache"
    )


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--devices",
        type=argument_types.positive,
        default=1,
        metavar="N",
        help="graphics cards (or, on the CPU, processes), each with a batch of its own",
    )
    parser.add_argument("--precision", choices=("auto", "32", "bf16", "16"), default="auto")
    parser.add_argument(
        "--spare-memory",
        action="store_true",
        help="compute activations twice instead of holding them; on one device that begins by "
        "itself when memory is full",
    )
    parser.add_argument(
        "--workers", type=argument_types.positive_or_zero, metavar="N", help="that prepare patches"
    )


def run(args: argparse.Namespace) -> None:
    """Train, score, write the checkpoints, and print what was measured."""
    from napari_ciml.training.run import run as do

    result = do(_plan(args), options.monitor())
    for what, regions in result.summary.items():
        for region, found in regions.items():
            distance = found["hd95_mm_mean"]
            print(
                f"{what}: {region}: Dice {found['dice_mean']:.3f} +- {found['dice_sd']:.3f}, HD95 "
                + ("undefined" if distance is None else f"{distance:.1f} mm")
                + f" ({found['cases']} cases)"
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
        hardware=Hardware(args.device, args.devices, args.precision, workers, args.spare_memory),
        name=args.name,
        description=args.description,
        folds=args.folds,
        held_out=args.held_out,
        half=args.half,
        skip_bad=args.skip_bad,
        resume=args.resume or args.finish,
        finish=args.finish,
        cache=args.cache,
        start=args.start,
        mixed=_mixed(args),
    )


def _settings(args: argparse.Namespace) -> "TrainSettings":
    from napari_ciml.errors import InputError
    from napari_ciml.network.settings import STRIDE, NetworkSettings
    from napari_ciml.training.settings import paper_settings

    paper = paper_settings(labelled(options.decomposition(args.preset), args.regions))
    patch = args.patch or paper.patch[0]
    largest = args.largest_patch or patch
    norm = args.norm or paper.network.norm
    if patch < STRIDE or patch % STRIDE:
        raise InputError(f"--patch {patch}: must be a multiple of {STRIDE}.")
    if largest < patch or largest % STRIDE:
        raise InputError(
            f"--largest-patch {largest}: must be a multiple of {STRIDE}, and no less than {patch}."
        )
    if norm == "instance" and patch < 2 * STRIDE:
        raise InputError(f"--patch {patch}: instance norm needs at least {2 * STRIDE}.")
    return paper.model_copy(
        update={
            "network": NetworkSettings(base_filters=args.base_filters, norm=norm),
            "normalisation": paper.normalisation | _normalisation(args, paper),
            "spacing": (args.spacing,) * 3 if args.spacing else paper.spacing,
            "patch": (patch,) * 3,
            "largest_patch": (largest,) * 3 if largest > patch else None,
            "batch_size": args.batch_size,
            "epochs": args.epochs,
            "iterations": args.iterations,
            "learning_rate": args.learning_rate,
            "beta": args.beta,
            "modality_dropout": args.modality_dropout,
            "message_dropout": args.message_dropout,
            "scanner_augmentation": args.scanners,
            "transplantation": args.transplantation,
            "mixture_fractions": tuple(mixed.fraction for mixed in _mixed(args)),
            "ema_decay": args.average,
            "seed": args.seed,
        }
    )


def _mixed(args: argparse.Namespace) -> "tuple[MixedDataset, ...]":
    """Return what is said of further data sets."""
    from napari_ciml.errors import InputError
    from napari_ciml.training.run_plan import MixedDataset

    found = tuple(MixedDataset(folder, fraction) for folder, fraction in args.mix)
    if sum(mixed.fraction for mixed in found) >= 1:
        raise InputError(
            "--mix: the fractions together leave nothing for DATA_DIR; make them less."
        )
    return found


def _normalisation(
    args: argparse.Namespace, settings: "TrainSettings"
) -> "dict[str, Normalisation]":
    """Return what is said of the normalisation, by modality."""
    from napari_ciml.errors import InputError

    known = {str(how): how for how in _NORMALISATIONS}
    said: dict[str, Normalisation] = {}
    for text in args.normalise:
        name, _, how = text.partition("=")
        if name not in settings.normalisation or how not in known:
            raise InputError(
                f"--normalise {text}: write NAME=HOW, with one of "
                f"{', '.join(settings.normalisation)} and one of {', '.join(known)}."
            )
        said[name] = known[how]
    return said

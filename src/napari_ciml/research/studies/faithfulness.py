"""Study ``faithfulness``: weight of a message against the loss when it is muted.

Goes beyond Fig. 12 to 14 of the paper, which show maps and weights without testing them. The
networks are those of the ablation (Table 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from napari_ciml.errors import InputError
from napari_ciml.explanation.faithfulness import (
    MessageAblation,
    ablate_messages,
    model_randomisation_test,
)
from napari_ciml.files import ensure_writable_folder, write_table
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.runtime import Runtime, choose_runtime
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.ciml import CIML
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.studies.catalogue import BudgetName, study
from napari_ciml.research.studies.data import Split
from napari_ciml.research.studies.reproduce import make_split, study_runs
from napari_ciml.research.studies.runs import WEIGHTS, Run
from napari_ciml.training.cohort import TrainingCase

MUTING, RANDOMISED = "muting.csv", "randomised.csv"


@dataclass(frozen=True)
class _Trial:
    """A network, a test case, and how to run one on the other."""

    seed: int
    case: int
    checkpoint: Checkpoint
    images: dict[str, np.ndarray]
    references: dict[str, np.ndarray]
    runtime: Runtime


def measure_faithfulness(
    budget: BudgetName, output: Path, monitor: ProgressMonitor, data: Path | None = None
) -> Path:
    """Mute each message on every test case, with the full network of each seed.

    Raises
    ------
    InputError
        If the ablation has not been done.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    chosen = study("ablation", budget)
    split = make_split(output, data, chosen.variants[0].settings, monitor)
    runs = [
        run
        for run in study_runs(chosen, output, split.name)
        if run.variant.name == chosen.reference and run.done
    ]
    if not runs:
        raise InputError(f"{output}: has no finished ablation; run `reproduce ablation` first.")
    folder = ensure_writable_folder(output / TABLES)
    muting: list[dict[str, object]] = []
    randomised: list[dict[str, object]] = []
    trials = list(_trials(runs, split))
    for k, trial in enumerate(trials):
        monitor.step("Muting messages", k, len(trials))
        ablations = ablate_messages(
            trial.checkpoint, trial.images, trial.references, trial.runtime, monitor
        )
        muting += [_row(trial, ablation) for ablation in ablations]
        rho = model_randomisation_test(trial.checkpoint, trial.images, trial.runtime, monitor)
        randomised.append({"seed": trial.seed, "case": trial.case, "spearman": f"{rho:.4f}"})
    write_table(folder / RANDOMISED, randomised)
    return write_table(folder / MUTING, muting)


def _trials(runs: list[Run], split: Split) -> Iterator[_Trial]:
    device = choose_device("auto")
    for run in runs:
        checkpoint = _checkpoint(run)
        decomposition = checkpoint.info.decomposition
        for k, case in enumerate(split.test):
            z, y, x = case.regions.shape[1:]
            yield _Trial(
                run.seed,
                k,
                checkpoint,
                _by_name(case, decomposition.input_modalities),
                dict(zip(decomposition.region_names, case.regions, strict=True)),
                choose_runtime(checkpoint.info, (z, y, x), device),
            )


def _checkpoint(run: Run) -> Checkpoint:
    settings = run.settings
    network = CIML(settings.decomposition, settings.network)
    network.load_state_dict(load_file(run.folder / WEIGHTS))
    info = CheckpointInfo(
        name=run.variant.name,
        decomposition=settings.decomposition,
        network=settings.network,
        spacing=settings.spacing,
        patch=settings.patch,
        normalisation=settings.normalisation,
        training=TrainingRecord(data=run.data, cases=0, steps=settings.steps, seed=run.seed),
    )
    return Checkpoint(run.folder / WEIGHTS, info, "", network.eval().requires_grad_(False))


def _by_name(case: TrainingCase, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: case.images[k].astype(np.float32) for k, name in enumerate(modalities)}


def _row(trial: _Trial, ablation: MessageAblation) -> dict[str, object]:
    values = ("weight", "information", "dice_drop", "logit_drop")
    return {
        "seed": trial.seed,
        "case": trial.case,
        "primary": ablation.pair.primary,
        "region": ablation.pair.region,
        "auxiliary": ablation.auxiliary,
        **{name: f"{getattr(ablation, name):.5g}" for name in values},
    }

"""The muting experiment on the networks that the ablation trained."""

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
class _Asked:
    """A network and a test case."""

    seed: int
    case: int
    checkpoint: Checkpoint
    images: dict[str, np.ndarray]
    references: dict[str, np.ndarray]
    workspace: Runtime


def measure_faithfulness(
    budget: BudgetName, output: Path, monitor: ProgressMonitor, data: Path | None = None
) -> Path:
    """Mute every message on every test case, with the full network of each seed.

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
    asked = list(_questions(runs, split))
    for done, one in enumerate(asked):
        monitor.step("Muting messages", done, len(asked))
        found = ablate_messages(one.checkpoint, one.images, one.references, one.workspace, monitor)
        muting += [_row(one, row) for row in found]
        alike = model_randomisation_test(one.checkpoint, one.images, one.workspace, monitor)
        randomised.append({"seed": one.seed, "case": one.case, "spearman": f"{alike:.4f}"})
    write_table(folder / RANDOMISED, randomised)
    return write_table(folder / MUTING, muting)


def _questions(runs: list[Run], split: Split) -> Iterator[_Asked]:
    device = choose_device("auto")
    for run in runs:
        checkpoint = _checkpoint(run)
        whole = checkpoint.info.decomposition
        for k, case in enumerate(split.test):
            z, y, x = case.regions.shape[1:]
            workspace = choose_runtime(checkpoint.info, (z, y, x), device)
            yield _Asked(
                run.seed,
                k,
                checkpoint,
                _by_name(case, whole.input_modalities),
                dict(zip(whole.region_names, case.regions, strict=True)),
                workspace,
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


def _row(asked: _Asked, muting: MessageAblation) -> dict[str, object]:
    measured = ("weight", "information", "dice_drop", "logit_drop")
    return {
        "seed": asked.seed,
        "case": asked.case,
        "primary": muting.pair.primary,
        "region": muting.pair.region,
        "auxiliary": muting.auxiliary,
        **{name: f"{getattr(muting, name):.5g}" for name in measured},
    }

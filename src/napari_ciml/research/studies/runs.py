"""Train and score one run of a study; its results are kept in a folder."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from napari_ciml.files import (
    atomic_write,
    ensure_writable_folder,
    read_table,
    write_json,
    write_table,
)
from napari_ciml.inference.device import choose_device, mixed_precision
from napari_ciml.metrics import dice, hd95
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.studies.baselines import Baseline
from napari_ciml.research.studies.catalogue import Variant
from napari_ciml.research.studies.data import Split
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.loop import TrainingData, build_ciml, train
from napari_ciml.training.settings import Hardware, TrainSettings
from napari_ciml.training.state import STATE
from napari_ciml.training.validation import region_probabilities

SCORES, COST, WEIGHTS = "scores.csv", "cost.json", "network.safetensors"


@dataclass(frozen=True)
class Score:
    """Dice and HD95 of one region of a test case."""

    case: int
    region: str
    dice: float
    hd95_mm: float


@dataclass(frozen=True)
class Cost:
    """Number of parameters, GFLOPs of a forward pass over one patch, seconds of the training."""

    parameters: int
    gflops: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """A variant with a seed, and the folder of its results.

    Parameters
    ----------
    variant : Variant
        Variant to train.
    seed : int
        Seed of weights, patches and augmentation; the cases are the same for all seeds.
    root : pathlib.Path
        Folder of all runs; a run that several studies have in common is performed once.
    data : str
        Name of the set of cases (`Split.name`).
    """

    variant: Variant
    seed: int
    root: Path
    data: str

    @property
    def settings(self) -> TrainSettings:
        """The variant's settings with this run's seed."""
        return self.variant.settings.model_copy(update={"seed": self.seed})

    @property
    def folder(self) -> Path:
        """Folder of the results, named by a hash of everything they depend on."""
        # The name of a preset does not change the result.
        settings = self.settings.model_dump(mode="json")
        settings["decomposition"].pop("name")
        key = json.dumps([settings, self.variant.baseline, self.data], sort_keys=True)
        return self.root / hashlib.sha256(key.encode()).hexdigest()[:16]

    @property
    def done(self) -> bool:
        """Whether the run is trained and scored."""
        return (self.folder / SCORES).is_file()

    def scores(self) -> list[Score]:
        """Read the scores that `perform` wrote."""
        return [
            Score(int(row["case"]), row["region"], float(row["dice"]), float(row["hd95_mm"]))
            for row in read_table(self.folder / SCORES)
        ]

    def cost(self) -> Cost:
        """Read the cost that `perform` wrote."""
        return Cost(**json.loads((self.folder / COST).read_text(encoding="utf-8")))


def perform(run: Run, split: Split, hardware: Hardware, monitor: ProgressMonitor) -> None:
    """Train and score a run, or resume it; a finished run is left as it is.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set; the last epoch's state is kept.
    """
    if run.done:
        return
    folder, settings = ensure_writable_folder(run.folder), run.settings
    start = time.perf_counter()
    baseline = run.variant.baseline
    network = train(
        TrainingData(split.training, split.validation),
        settings,
        folder,
        monitor,
        hardware=hardware,
        resume=(folder / STATE).is_file(),
        build=build_ciml if baseline is None else Baseline(baseline),
    )
    seconds = time.perf_counter() - start
    write_json(folder / COST, asdict(_cost(network, settings, seconds)))
    with atomic_write(folder / WEIGHTS) as path:
        save_file({k: v.clone() for k, v in network.state_dict().items()}, path)
    scores = score(network, split.test, settings, hardware, monitor)
    write_table(folder / SCORES, [asdict(one) for one in scores])
    (folder / STATE).unlink()


def score(
    network: nn.Module,
    cases: Sequence[TrainingCase],
    settings: TrainSettings,
    hardware: Hardware,
    monitor: ProgressMonitor,
) -> list[Score]:
    """Segment cases with a sliding window of the patch size, and compare with the references."""
    device = choose_device(hardware.device)
    network = network.to(device).eval()
    scores = []
    for k, case in enumerate(cases):
        monitor.step("Scoring", k, len(cases))
        images = torch.from_numpy(case.images.astype(np.float32))[None].to(device)
        with torch.inference_mode(), mixed_precision(device):
            values = sliding_window_inference(
                images, settings.patch, 1, lambda x: _regions(network, x, settings), overlap=0.5
            )
        masks = (values[0] > 0.5).cpu().numpy()
        for j, region in enumerate(settings.decomposition.region_names):
            predicted, expected = masks[j], np.array(case.regions[j])
            distance = hd95(predicted, expected, settings.spacing)
            scores.append(Score(k, region, dice(predicted, expected), distance))
    return scores


def _regions(network: nn.Module, images: Tensor, settings: TrainSettings) -> Tensor:
    """Return the probability of each region, (B, R, Z, Y, X)."""
    decomposition = settings.decomposition
    inputs = {m: images[:, k : k + 1] for k, m in enumerate(decomposition.input_modalities)}
    probabilities = region_probabilities(network(inputs), decomposition)
    return torch.stack([probabilities[name] for name in decomposition.region_names], dim=1)


def _cost(network: nn.Module, settings: TrainSettings, seconds: float) -> Cost:
    names = settings.decomposition.input_modalities
    patch = torch.zeros(1, len(names), *settings.patch)
    network = network.cpu()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        _regions(network, patch, settings)
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, counter.get_total_flops() / 1e9, round(seconds, 1))

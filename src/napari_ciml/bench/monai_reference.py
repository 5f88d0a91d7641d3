"""The usual way: MONAI's sliding window over the whole volume, in float32, on the same weights."""

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from napari_ciml.bench.clock import Clock, seconds_since_start
from napari_ciml.bench.setup import Setup
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.intensity import foreground, normalise
from napari_ciml.cases.labels import label_map
from napari_ciml.cases.write import write_on_native_grid
from napari_ciml.files import prepare_folder
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.ciml import CIML

TILE = 64


class Stacked(nn.Module):
    """The network as the library wants it.

    From one tensor, (B, M, Z, Y, X) in the order of the modalities used, to one, (B, pairs, Z, Y,
    X) in the order of the decomposition's pairs.
    """

    def __init__(self, network: CIML) -> None:
        super().__init__()
        self.network = network
        self.modalities = network.decomposition.used_modalities

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every pair."""
        named = {name: images[:, k : k + 1] for k, name in enumerate(self.modalities)}
        return torch.cat([found.logits for found in self.network(named).values()], dim=1)


def half_overlap(setup: Setup, monitor: Monitor) -> dict[str, object]:
    """Segment with tiles that overlap by one half."""
    return segment_by_tiles(setup, 0.5, monitor)


def quarter_overlap(setup: Setup, monitor: Monitor) -> dict[str, object]:
    """Segment with tiles that overlap by a quarter."""
    return segment_by_tiles(setup, 0.25, monitor)


def segment_by_tiles(setup: Setup, overlap: float, monitor: Monitor) -> dict[str, object]:
    """Segment from files to a written label map; reading and writing are ours."""
    start, device, clock = seconds_since_start(), choose_device(), Clock()
    folder = prepare_folder(setup.result(f"monai {overlap}"))
    with clock.stage("read"):
        case = open_case(setup.case, monitor=monitor)
    with clock.stage("load"):
        checkpoint = load_checkpoint(setup.checkpoint)
        network = Stacked(checkpoint.network).to(device)
    with clock.stage("prepare"):
        images, inside = normalised(case, checkpoint.info)
    tiles = 0

    def predict(tile: Tensor) -> Tensor:
        nonlocal tiles
        tiles += 1
        monitor.step(f"MONAI, overlap {overlap}, tile", tiles)
        return network(tile)

    with clock.stage("network"), torch.inference_mode():
        inferer = SlidingWindowInferer(TILE, 1, overlap, mode="gaussian")
        logits = inferer(images[None].to(device), predict)
    with clock.stage("assemble"):
        probabilities = logits[0].sigmoid().cpu().numpy()
        labels = _label_map(probabilities, inside, checkpoint.info)
    with clock.stage("write"):
        write_on_native_grid(folder / "segmentation.nii.gz", labels, case)
    return {
        "start": start,
        "seconds": clock.seconds,
        "peak_memory_mib": round(peak_memory_mib(), 1),
        "precision": "float32",
        "tiles": tiles,
    }


def normalised(case: Case, info: CheckpointInfo) -> tuple[Tensor, np.ndarray]:
    """Return all modalities, (M, Z, Y, X) float32 on the case grid, and the foreground of any."""
    masks = {name: foreground(case.images[name]) for name in info.decomposition.used_modalities}
    images = [
        torch.from_numpy(normalise(case.images[name], mask, info.normalisation[name]))
        for name, mask in masks.items()
    ]
    return torch.stack(images), np.logical_or.reduce(list(masks.values()))


def _label_map(probabilities: np.ndarray, inside: np.ndarray, info: CheckpointInfo) -> np.ndarray:
    whole = info.decomposition
    masks = {}
    for region in whole.region_names:
        chosen = [k for k, pair in enumerate(whole.pairs) if pair.region == region]
        masks[region] = (probabilities[chosen].mean(axis=0) >= THRESHOLD) & inside
    return label_map(masks, whole.regions)

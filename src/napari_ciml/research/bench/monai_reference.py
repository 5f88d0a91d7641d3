"""Reference for segmentation: MONAI's sliding window over the whole volume, in float32.

It runs the same weights. In a quick run only some of its tiles are computed, and the time of the
others is estimated by their mean.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.intensity import foreground, normalise
from napari_ciml.cases.labels import label_map, nest_regions
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, peak_memory_mib
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.ciml import CIML
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.clock import StageTimer, seconds_since_start
from napari_ciml.research.bench.config import BenchConfig

TILE = 64

_QUICK_TILES = 3


class Stacked(nn.Module):
    """The network with one input and one output tensor, as MONAI requires.

    Its input is (B, M, Z, Y, X) in the order of the input modalities, its output (B, pairs, Z, Y,
    X) in the order of the decomposition's pairs.
    """

    def __init__(self, network: CIML) -> None:
        super().__init__()
        self.network = network
        self.modalities = network.decomposition.input_modalities

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every pair."""
        by_name = {name: images[:, k : k + 1] for k, name in enumerate(self.modalities)}
        predictions = self.network(by_name).values()
        return torch.cat([prediction.logits for prediction in predictions], dim=1)


class Tiles:
    """A network that reports every tile, and computes only some of them if a limit is given.

    Parameters
    ----------
    network : callable
        Computes the logits of a tile.
    limit : int, optional
        Number of tiles to compute; later ones return the logits of the last.
    monitor : ProgressMonitor
        Receives a step per tile.
    name : str
        Name of the contender in the steps.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        limit: int | None,
        monitor: ProgressMonitor,
        name: str,
    ) -> None:
        self.network, self.limit, self.monitor, self.name = network, limit, monitor, name
        self.count, self._seconds = 0, 0.0
        self._last: Tensor | None = None

    def __call__(self, tile: Tensor) -> Tensor:
        """Return the logits of a tile."""
        self.count += 1
        if self._last is not None and self.limit is not None and self.count > self.limit:
            return self._last
        self.monitor.step(f"{self.name}, tile", self.count)
        start = time.perf_counter()
        self._last = self.network(tile)
        if self.limit is not None:
            self._last.sum().item()  # waits for a graphics card
        self._seconds += time.perf_counter() - start
        return self._last

    @property
    def skipped_seconds(self) -> float:
        """Estimated time of the tiles that were not computed."""
        if self.limit is None or self.count <= self.limit:
            return 0.0
        return self._seconds / self.limit * (self.count - self.limit)


def half_overlap(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment with an overlap of one half."""
    return segment_by_tiles(config, 0.5, monitor)


def quarter_overlap(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment with an overlap of a quarter."""
    return segment_by_tiles(config, 0.25, monitor)


def segment_by_tiles(
    config: BenchConfig, overlap: float, monitor: ProgressMonitor
) -> dict[str, object]:
    """Segment from files to a written label map; reading and writing are those of napari-ciml."""
    start, device, clock = seconds_since_start(), choose_device(), StageTimer()
    folder = ensure_writable_folder(config.result(f"monai {overlap}"))
    with clock.stage("read"):
        case = open_case(config.case, monitor=monitor)
    with clock.stage("load"):
        checkpoint = load_checkpoint(config.checkpoint)
        network = Stacked(checkpoint.network).to(device)
    with clock.stage("prepare"):
        images, mask = normalised(case, checkpoint.info)
    tiles = Tiles(
        network, _QUICK_TILES if config.quick else None, monitor, f"MONAI, overlap {overlap}"
    )
    with clock.stage("network"), torch.inference_mode():
        inferer = SlidingWindowInferer(TILE, 1, overlap, mode="gaussian")
        logits = inferer(images[None].to(device), tiles)
    clock.add("network", tiles.skipped_seconds)
    with clock.stage("assemble"):
        probabilities = logits[0].sigmoid().cpu().numpy()
        labels = _label_map(probabilities, mask, checkpoint.info)
    with clock.stage("write"):
        write_on_native_grid(folder / "segmentation.nii.gz", labels, case)
    result = {
        "start": start,
        "seconds": clock.seconds,
        "peak_memory_mib": round(peak_memory_mib(), 1),
        "precision": "float32",
        "tiles": tiles.count,
    }
    if tiles.skipped_seconds:
        (folder / "segmentation.nii.gz").unlink()  # incomplete, so not to be compared with
        result["estimate"] = f"{tiles.limit} of {tiles.count} tiles timed"
    return result


def normalised(case: Case, info: CheckpointInfo) -> tuple[Tensor, np.ndarray]:
    """Return all modalities, (M, Z, Y, X) float32 on the case grid, and the joint foreground."""
    masks = {name: foreground(case.images[name]) for name in info.decomposition.input_modalities}
    images = [
        torch.from_numpy(normalise(case.images[name], mask, info.normalisation[name]))
        for name, mask in masks.items()
    ]
    return torch.stack(images), np.logical_or.reduce(list(masks.values()))


def _label_map(probabilities: np.ndarray, mask: np.ndarray, info: CheckpointInfo) -> np.ndarray:
    decomposition = info.decomposition
    masks = {}
    for region in decomposition.region_names:
        channels = [k for k, pair in enumerate(decomposition.pairs) if pair.region == region]
        masks[region] = (probabilities[channels].mean(axis=0) >= THRESHOLD) & mask
    return label_map(nest_regions(masks, decomposition.regions), decomposition.regions)

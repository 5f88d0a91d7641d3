"""Reference for maps: MONAI's Grad-CAM, one run for each pair, auxiliary and tile.

A whole volume takes minutes to hours, and all tiles cost the same. So only the runs on the central
tile are timed, and their mean is multiplied by the number of runs that the foreground needs without
overlap.
"""

import math
import time

from monai.visualize import GradCAM

from napari_ciml.cases.case import open_case
from napari_ciml.inference.device import choose_device, peak_memory_mib
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.network.settings import LEVELS
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.research.bench.monai_reference import TILE, Stacked, normalised


def explain_pair_by_pair(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Time the maps of one tile; return the estimated time of all maps of the foreground."""
    device = choose_device()
    checkpoint = load_checkpoint(config.checkpoint)
    decomposition = checkpoint.info.decomposition
    images, _ = normalised(open_case(config.case, monitor=monitor), checkpoint.info)
    edge = min(TILE, *config.extent.box)
    central = tuple(
        slice(first + (inner - edge) // 2, first + (inner - edge) // 2 + edge)
        for first, inner in zip(config.extent.start, config.extent.box, strict=True)
    )
    tile = images[(slice(None), *central)][None].to(device)
    network = Stacked(checkpoint.network.requires_grad_()).to(device)
    triples = [
        (k, pair, auxiliary)
        for k, pair in enumerate(decomposition.pairs)
        for auxiliary in decomposition.subtask(pair.primary).auxiliaries
    ]
    start = time.perf_counter()
    for k, (channel, pair, auxiliary) in enumerate(triples):
        monitor.step("MONAI's Grad-CAM, map", k, len(triples))
        layer = f"network.segmentors.{pair.primary}.gates.{LEVELS - 1}.mu.{auxiliary}"
        GradCAM(network, layer)(tile, class_idx=channel)
    each = (time.perf_counter() - start) / len(triples)
    tiles = math.prod(math.ceil(inner / edge) for inner in config.extent.box)
    return {
        "seconds_each": round(each, 4),
        "runs_timed": len(triples),
        "runs_needed": tiles * len(triples),
        "seconds": round(each * tiles * len(triples), 2),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }

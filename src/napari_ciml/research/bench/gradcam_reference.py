"""The usual way to maps: MONAI's Grad-CAM, a run for each pair and auxiliary, tile by tile.

A whole volume takes minutes to hours, and all tiles cost the same. So all runs on the tile in the
middle are timed, and their mean is multiplied by the runs that the foreground needs, without any
overlap.
"""

import math
import time

from monai.visualize import GradCAM

from napari_ciml.cases.case import open_case
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.network.settings import LEVELS
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.research.bench.monai_reference import TILE, Stacked, normalised


def explain_pair_by_pair(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Time single maps of one tile; return what all maps of the foreground would take."""
    device = choose_device()
    checkpoint = load_checkpoint(setup.checkpoint)
    whole = checkpoint.info.decomposition
    images, _ = normalised(open_case(setup.case, monitor=monitor), checkpoint.info)
    edge = min(TILE, *setup.extent.box)
    where = tuple(
        slice(first + (inner - edge) // 2, first + (inner - edge) // 2 + edge)
        for first, inner in zip(setup.extent.start, setup.extent.box, strict=True)
    )
    tile = images[(slice(None), *where)][None].to(device)
    network = Stacked(checkpoint.network.requires_grad_()).to(device)
    triples = [
        (k, pair, auxiliary)
        for k, pair in enumerate(whole.pairs)
        for auxiliary in whole.subtask(pair.primary).auxiliaries
    ]
    start = time.perf_counter()
    for done, (channel, pair, auxiliary) in enumerate(triples):
        monitor.step("MONAI's Grad-CAM, map", done, len(triples))
        layer = f"network.segmentors.{pair.primary}.gates.{LEVELS - 1}.mu.{auxiliary}"
        GradCAM(network, layer)(tile, class_idx=channel)
    each = (time.perf_counter() - start) / len(triples)
    tiles = math.prod(math.ceil(inner / edge) for inner in setup.extent.box)
    return {
        "seconds_each": round(each, 4),
        "runs_timed": len(triples),
        "runs_needed": tiles * len(triples),
        "seconds": round(each * tiles * len(triples), 2),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }

"""How the window answers while it segments."""

import math
from collections.abc import Sequence

from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.widgets.latency_probe import TICK_MS, measure_segmentation


def segment_in_the_window(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Open the case in a viewer with its dock widgets, and press *Segment*."""
    monitor.step("Opening a window")
    heard = measure_segmentation(setup.case, setup.checkpoint)
    return {
        "seconds": round(heard.seconds, 3),
        "median_ms": round(percentile(heard.delays_ms, 50), 2),
        "p99_ms": round(percentile(heard.delays_ms, 99), 2),
        "largest_ms": round(max(heard.delays_ms), 2),
        "largest_after_s": round(heard.delays_ms.index(max(heard.delays_ms)) * TICK_MS / 1000, 2),
        "moments": len(heard.delays_ms),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]

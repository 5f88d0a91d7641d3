"""Responsiveness of the window during a segmentation."""

import math
from collections.abc import Sequence

from napari_ciml.inference.device import peak_memory_mib
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.widgets.latency_probe import TICK_MS, measure_segmentation


def segment_in_window(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Open the case in a viewer with its dock widgets, and press *Segment*."""
    monitor.step("Opening a window")
    samples = measure_segmentation(config.case, config.checkpoint)
    largest = max(samples.delays_ms)
    return {
        "seconds": round(samples.seconds, 3),
        "median_ms": round(percentile(samples.delays_ms, 50), 2),
        "p99_ms": round(percentile(samples.delays_ms, 99), 2),
        "largest_ms": round(largest, 2),
        "largest_after_s": round(samples.delays_ms.index(largest) * TICK_MS / 1000, 2),
        "moments": len(samples.delays_ms),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]

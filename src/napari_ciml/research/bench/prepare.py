"""Prepare a run: cases, checkpoint, peak rate of the machine."""

import torch

from napari_ciml.inference.device import choose_device
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.case import write_cases
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.research.bench.peak import matrix_peaks
from napari_ciml.research.bench.weights import write_checkpoint


def prepare(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Write cases and checkpoint, and measure the rate of matrix products."""
    source = write_cases(config, monitor)
    write_checkpoint(config, monitor)
    monitor.step("Measuring matrix products")
    device = choose_device()
    return {
        "source": source,
        "device": device.type,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "matrix_peak_gflops": matrix_peaks(device),
    }

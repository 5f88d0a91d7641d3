"""What has to be there before anybody runs: cases, checkpoint, the machine's peak."""

import torch

from napari_ciml.bench.case import write_cases
from napari_ciml.bench.peak import matrix_peaks
from napari_ciml.bench.setup import Setup
from napari_ciml.bench.weights import write_checkpoint
from napari_ciml.inference.device import choose_device
from napari_ciml.monitor import Monitor


def prepare(setup: Setup, monitor: Monitor) -> dict[str, object]:
    """Write cases and checkpoint, and measure the matrix products."""
    source = write_cases(setup, monitor)
    write_checkpoint(setup, monitor)
    monitor.step("Measuring matrix products")
    device = choose_device()
    return {
        "source": source,
        "device": device.type,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "matrix_peak_gflops": matrix_peaks(device),
    }

"""Peak rate of the machine, and cost of the network in floating-point operations."""

import math
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.inference.tiles import Shape, round_up
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings

_COUNTED_SHAPE = (64, 64, 64)
_EDGE = 2048
_TRIES = 3
_SECONDS = 1.0
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def matrix_peaks(device: torch.device) -> dict[str, float]:
    """Return the highest rate of a large matrix product, in GFLOP/s, by precision."""
    return {name: _peak(dtype, device) for name, dtype in PRECISIONS.items()}


def _peak(dtype: torch.dtype, device: torch.device) -> float:
    a = torch.randn(_EDGE, _EDGE, device=device).to(dtype)
    b, best, begin, tries = a.T.contiguous(), float("inf"), time.perf_counter(), 0
    while tries < _TRIES or time.perf_counter() - begin < _SECONDS:
        start = time.perf_counter()
        c = a @ b
        c[0, 0].item()  # waits for a graphics card
        best = min(best, time.perf_counter() - start)
        tries += 1
    return round(2 * _EDGE**3 / best / 1e9, 1)


def network_gflop(decomposition: Decomposition, settings: NetworkSettings, shape: Shape) -> float:
    """Return the cost of one pass over a volume in GFLOP; a multiplication and an addition are two.

    Parameters
    ----------
    decomposition : Decomposition
        Decomposition, all of whose subtasks are computed.
    settings : NetworkSettings
        Widths and modules.
    shape : tuple of int
        Shape of the volume, (Z, Y, X); padded to multiples of 16.
    """
    with torch.device("meta"):
        network = CIML(decomposition, settings).eval()
        images = {m: torch.empty(1, 1, *_COUNTED_SHAPE) for m in decomposition.input_modalities}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    # The network is all convolutions, so each voxel costs the same.
    factor = math.prod(round_up(shape)) / math.prod(_COUNTED_SHAPE)
    return float(counter.get_total_flops() / 1e9 * factor)

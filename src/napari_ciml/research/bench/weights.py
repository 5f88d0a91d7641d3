"""The network that is measured: of full width, doing what the shipped checkpoint does.

Random weights would serve the clock as well, but their label maps are noise, on which no two ways
of computing agree. So the shipped network is widened: of any width, it has the same answers.
"""

import torch
from torch import nn

from napari_ciml.cases.case import open_case
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.errors import InputError
from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
from napari_ciml.inference.sliding_window import stack_and_pad
from napari_ciml.inference.tiles import round_up
from napari_ciml.network.checkpoint import load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import (
    CheckpointInfo,
    PostprocessingSettings,
    TrainingRecord,
)
from napari_ciml.network.ciml import CIML
from napari_ciml.network.widen import can_widen, widen_state_dict
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig

_SPACING = (1.0, 1.0, 1.0)


def write_checkpoint(setup: BenchConfig, monitor: ProgressMonitor) -> None:
    """Write the checkpoint of the run; the case has to be there.

    Raises
    ------
    InputError
        If the width is no multiple of the shipped network's.
    """
    monitor.step("Making the network")
    shipped = load_checkpoint(find_bundled_checkpoint())
    narrow = shipped.info.network
    wider = narrow.model_copy(update={"base_filters": setup.base_filters})
    if not can_widen(narrow, wider):
        raise InputError(
            f"{setup.base_filters} base filters are not possible here; "
            f"choose a multiple of {narrow.base_filters}."
        )
    info = shipped.info.model_copy(
        update={
            "name": "bench",
            "network": wider.model_copy(update={"norm": "batch"}),
            "spacing": _SPACING,
            "postprocessing": PostprocessingSettings(),
            "scores": (),
            "training": TrainingRecord(data="nothing", cases=0, steps=0, seed=0),
        }
    )
    settled = _settled(setup, shipped.network, info)
    wide = CIML(info.decomposition, info.network)
    wide.load_state_dict(widen_state_dict(settled, wide))
    save_checkpoint(setup.checkpoint, wide, info)


def _settled(setup: BenchConfig, shipped: CIML, info: CheckpointInfo) -> CIML:
    """Return the shipped network with batch norms that have seen the case, and only it.

    Over one whole volume batch norm and the instance norm of the training are the same thing.
    """
    narrow = shipped.settings.model_copy(update={"norm": "batch"})
    network = CIML(info.decomposition, narrow)
    network.load_state_dict(shipped.state_dict(), strict=False)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.momentum = None  # the statistics of what it sees, not a moving average
    modalities = info.decomposition.input_modalities
    case = open_case(setup.case, needed=modalities)
    seen = preprocess(case, modalities, info.spacing, info.normalisation, ProgressMonitor())
    z, y, x = seen.foreground.shape
    stack = stack_and_pad(seen.images, modalities, round_up((z, y, x)))
    with torch.inference_mode():
        network.train()({name: stack[k][None, None] for k, name in enumerate(modalities)})
    return network.eval()

"""The benchmark's network: the bundled checkpoint, widened to the requested base filters.

Random weights would take as long, but their label maps are noise, on which no two implementations
agree. The bundled network is widened instead, which leaves its output unchanged.
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


def write_checkpoint(config: BenchConfig, monitor: ProgressMonitor) -> None:
    """Write the checkpoint of the run; requires the case.

    Raises
    ------
    InputError
        If the base filters are not a multiple of the bundled network's.
    """
    monitor.step("Making the network")
    bundled = load_checkpoint(find_bundled_checkpoint())
    narrow = bundled.info.network
    wider = narrow.model_copy(update={"base_filters": config.base_filters})
    if not can_widen(narrow, wider):
        raise InputError(
            f"{config.base_filters} base filters are not possible here; "
            f"choose a multiple of {narrow.base_filters}."
        )
    info = bundled.info.model_copy(
        update={
            "name": "bench",
            "network": wider.model_copy(update={"norm": "batch"}),
            "spacing": _SPACING,
            "postprocessing": PostprocessingSettings(),
            "scores": (),
            "training": TrainingRecord(data="nothing", cases=0, steps=0, seed=0),
        }
    )
    calibrated = _with_batch_norm(config, bundled.network, info)
    wide = CIML(info.decomposition, info.network)
    wide.load_state_dict(widen_state_dict(calibrated, wide))
    save_checkpoint(config.checkpoint, wide, info)


def _with_batch_norm(config: BenchConfig, bundled: CIML, info: CheckpointInfo) -> CIML:
    """Return the bundled network with batch norm, its statistics measured on the case.

    Over one whole volume batch norm equals the instance norm that it was trained with.
    """
    narrow = bundled.settings.model_copy(update={"norm": "batch"})
    network = CIML(info.decomposition, narrow)
    network.load_state_dict(bundled.state_dict(), strict=False)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.momentum = None  # cumulative statistics, not a moving average
    modalities = info.decomposition.input_modalities
    case = open_case(config.case, needed=modalities)
    model_input = preprocess(case, modalities, info.spacing, info.normalisation, ProgressMonitor())
    z, y, x = model_input.foreground.shape
    stack = stack_and_pad(model_input.images, modalities, round_up((z, y, x)))
    with torch.inference_mode():
        network.train()({name: stack[k][None, None] for k, name in enumerate(modalities)})
    return network.eval()

"""Tiny networks and their input, for the tests of everything that has a network in it."""

import torch
from torch import Tensor

from napari_ciml.decomposition.model import Decomposition, Region, Subtask
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import ProgressMonitor

BRATS = PRESETS["brats2020"]

# Two primaries together, auxiliaries that are nobody's primary, a subtask without messages.
MIXED = Decomposition(
    name="mixed",
    modalities=("PET", "CT", "MR"),
    regions=(Region(name="lesion", labels=(1,), colour="#ff0000"),),
    subtasks=(
        Subtask(primary=("PET", "CT"), regions=("lesion",), auxiliaries=("MR",)),
        Subtask(primary=("CT",), regions=("lesion",), auxiliaries=("PET", "MR")),
        Subtask(primary=("MR",), regions=("lesion",)),
    ),
).validated()


def network(decomposition: Decomposition = BRATS, **settings: object) -> CIML:
    """Return a network of two base filters with the same random weights every time."""
    torch.manual_seed(0)
    settings = {"base_filters": 2, "norm": "instance", **settings}
    return CIML(decomposition, NetworkSettings(**settings))


def images(decomposition: Decomposition, edge: int = 32, batch: int = 1) -> dict[str, Tensor]:
    """Return noise for every modality, the same every time."""
    torch.manual_seed(1)
    return {m: torch.randn(batch, 1, edge, edge, edge) for m in decomposition.modalities}


def settled(norm: str, decomposition: Decomposition = BRATS) -> CIML:
    """Return a network in evaluation mode whose batch norms have running statistics."""
    net = network(decomposition, norm=norm)
    with torch.no_grad():
        net(images(decomposition, batch=2), noise=torch.randn_like)
    return net.eval()


def inference_context(
    checkpoint: Checkpoint,
    plan: InferencePlan,
    runtime: Runtime,
    monitor: ProgressMonitor | None = None,
    cache: InferenceCache | None = None,
) -> InferenceContext:
    """Return a context, by default with a cache that stores nothing."""
    cache = cache or InferenceCache.disabled(runtime)
    return InferenceContext(checkpoint, plan, cache, monitor or ProgressMonitor())

"""The inputs that every step of one inference run shares."""

from dataclasses import dataclass, field

from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


@dataclass(frozen=True)
class InferenceContext:
    """Checkpoint, plan, cache and monitor of one inference run.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    plan : InferencePlan
        Pairs to compute and messages to mute.
    cache : InferenceCache
        Cache of this run or of an earlier one with the same runtime; results are added to it.
        `InferenceCache.disabled` stores nothing.
    monitor : ProgressMonitor
        Receives progress after each tile; can cancel the run.
    """

    checkpoint: Checkpoint
    plan: InferencePlan
    cache: InferenceCache
    monitor: ProgressMonitor = field(default_factory=ProgressMonitor)

    @property
    def runtime(self) -> Runtime:
        """Device, tiles and engine of the run."""
        return self.cache.runtime

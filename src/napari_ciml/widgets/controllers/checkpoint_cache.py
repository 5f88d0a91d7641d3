"""Cache of loaded checkpoints; warm-up of what the first run needs."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_ciml.decomposition.presets import DEFAULT, PRESETS
from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.gc_tuning import gc_paused
from napari_ciml.widgets.layers.colormaps import label_colours

if TYPE_CHECKING:
    from napari_ciml.network.checkpoint import Checkpoint


def warm_up(monitor: ProgressMonitor, checkpoint: Path | None) -> None:
    """Import and load what the first run needs, while the user waits for the case anyway.

    Some of these imports stop every thread for a while, which would be felt while viewing the case.

    Parameters
    ----------
    monitor : ProgressMonitor
        Told once.
    checkpoint : pathlib.Path or None
        The checkpoint to load; one that cannot be loaded is reported by the run.
    """
    monitor.step("Getting the network ready")
    with gc_paused():
        import pandas  # noqa: F401 - napari's own first layer with features needs it
        import pint
        import scipy.spatial.transform  # noqa: F401 - napari's camera does when it is first turned

        import napari_ciml.explanation.explain
        import napari_ciml.inference.segment  # noqa: F401

        pint.get_application_registry()("mm")
        # napari compiles how labels are drawn with the first layer that has colours like ours.
        Labels(np.zeros((2, 2, 2), np.uint8), colormap=label_colours(PRESETS[DEFAULT].regions))
        if checkpoint is not None:
            with suppress(CimlError, OSError):
                load_checkpoint(checkpoint)


def load_checkpoint(path: Path) -> "Checkpoint":
    """Load a checkpoint; the last two stay in memory, until their file changes."""
    return _load_version(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load_version(path: Path, _changed: int) -> "Checkpoint":
    from napari_ciml.network import checkpoint

    return checkpoint.load_checkpoint(path)

"""What several runs of a saved session have in common: read once, computed once."""

from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import PreprocessedCase, preprocess
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.storage.schema import SavedVolume
from napari_ciml.session.storage.volumes import read_verified


class SessionVolumes:
    """The volumes of a session, and its case as networks see it.

    Parameters
    ----------
    folder : pathlib.Path
        The session.
    case : Case
        Opened again.
    monitor : Monitor
        Told at each step of preparing the case.
    """

    def __init__(self, folder: Path, case: Case, monitor: ProgressMonitor) -> None:
        self.folder, self.case, self.monitor = folder, case, monitor
        self._volumes: dict[SavedVolume, np.ndarray] = {}
        self._seen: dict[object, PreprocessedCase] = {}

    def volume(self, saved: SavedVolume) -> np.ndarray:
        """Return a volume that nobody writes to; errors as `read_verified`."""
        if saved not in self._volumes:
            self._volumes[saved] = read_verified(self.folder, saved)
        return self._volumes[saved]

    def seen(self, modalities: tuple[str, ...], info: CheckpointInfo) -> PreprocessedCase:
        """Return the case as a checkpoint sees it; errors as `preprocess`."""
        normalised = tuple(info.normalisation[name] for name in modalities)
        key = (modalities, info.spacing, normalised)
        if key not in self._seen:
            self._seen[key] = preprocess(
                self.case, modalities, info.spacing, info.normalisation, self.monitor
            )
        return self._seen[key]

"""Volumes and preprocessed cases that several runs of a saved session share."""

from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import PreprocessedCase, preprocess
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.storage.schema import SavedVolume
from napari_ciml.session.storage.volumes import read_verified


class SessionVolumes:
    """The volumes of a session and its preprocessed case, each read or computed once.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the session.
    case : Case
        The open case.
    monitor : ProgressMonitor
        Receives the steps of the preprocessing.
    """

    def __init__(self, folder: Path, case: Case, monitor: ProgressMonitor) -> None:
        self.folder, self.case, self.monitor = folder, case, monitor
        self._volumes: dict[SavedVolume, np.ndarray] = {}
        self._model_inputs: dict[object, PreprocessedCase] = {}

    def volume(self, saved: SavedVolume) -> np.ndarray:
        """Return a volume, which is shared and must not be modified; raises as `read_verified`."""
        if saved not in self._volumes:
            self._volumes[saved] = read_verified(self.folder, saved)
        return self._volumes[saved]

    def model_input(self, modalities: tuple[str, ...], info: CheckpointInfo) -> PreprocessedCase:
        """Return the case preprocessed for a checkpoint; raises as `preprocess`."""
        normalisation = tuple(info.normalisation[name] for name in modalities)
        key = (modalities, info.spacing, normalisation)
        if key not in self._model_inputs:
            self._model_inputs[key] = preprocess(
                self.case, modalities, info.spacing, info.normalisation, self.monitor
            )
        return self._model_inputs[key]

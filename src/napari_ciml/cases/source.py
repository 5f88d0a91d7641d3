"""The volumes discovered in a folder or file, and the modality of each."""

from dataclasses import dataclass
from pathlib import Path

from napari_ciml.cases.dicom.volume import Stack
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.notices import Assumption, Problem


@dataclass(frozen=True)
class VolumeSource:
    """One volume that may be a modality: a file, a channel of a 4-D file, or a DICOM series.

    Parameters
    ----------
    path : pathlib.Path
        The file, or the folder of the series.
    channel : int or None
        Index in a 4-D file, from 0.
    modality : str or None
        As its name or header states; None if it is unknown or not a modality of the case.
    grid : Grid
        As stored.
    stack : Stack or None
        Planes of a DICOM series.
    exclusion_reason : str
        Why it is left out, as a clause; empty if it is not.
    unit : str
        Unit of its values if known: ``HU``, ``SUV``, ``Bq/mL`` ...
    unit_reason : str
        Why a PET is not in SUV, as a clause.
    """

    path: Path
    channel: int | None
    modality: str | None
    grid: Grid
    stack: Stack | None = None
    exclusion_reason: str = ""
    unit: str = ""
    unit_reason: str = ""

    @property
    def title(self) -> str:
        """The name of the file, or number and description of the series."""
        return self.path.name if self.stack is None else self.stack.title


@dataclass(frozen=True)
class DiscoveredCase:
    """The volumes of a folder or file.

    Parameters
    ----------
    name : str
        Name of the folder or file, or a neutral one if that identifies the patient; shown in the
        window, never written to a file.
    root : pathlib.Path
        The folder or file.
    sources : tuple of VolumeSource
        Candidates, in the order of their file names or series numbers.
    skipped : tuple of str
        What was left out and why, in sentences.
    assumptions : tuple of Assumption
        What no name or header states and the user may change.
    problems : tuple of Problem
        What the user has to decide before the case can be loaded.
    """

    name: str
    root: Path
    sources: tuple[VolumeSource, ...]
    skipped: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    problems: tuple[Problem, ...] = ()

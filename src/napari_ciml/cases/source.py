"""What a look at a folder or a file found: volumes, and what each of them may be."""

from dataclasses import dataclass
from pathlib import Path

from napari_ciml.cases.dicom.volume import Stack
from napari_ciml.cases.geometry import Grid


@dataclass(frozen=True)
class VolumeSource:
    """One volume that may be a modality: a file, one channel of a 4-D file, or a DICOM series.

    Parameters
    ----------
    path : pathlib.Path
        The file, or the folder of the series.
    channel : int or None
        Of a 4-D file, from 0.
    modality : str or None
        As its name or its header says; None if they say nothing, or something else.
    grid : Grid
        As stored.
    stack : Stack or None
        The planes of a DICOM series.
    note : str
        Why it is left out, in a few words.
    unit : str
        Of its values where that is known: ``HU``, ``SUV``, ``Bq/mL`` ...
    unit_reason : str
        A clause that says why a PET is not in SUV.
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
        """What the user calls it: the file's name, or the series' number and description."""
        return self.path.name if self.stack is None else self.stack.title


@dataclass(frozen=True)
class DiscoveredCase:
    """What was found.

    Parameters
    ----------
    name : str
        Of the folder or file, or a neutral one where it tells who the patient is; shown in the
        window, written nowhere.
    root : pathlib.Path
        What was looked at.
    sources : tuple of Source
        Candidates, by file name or series number.
    skipped : tuple of str
        Sentences: what was left out and why.
    assumed : tuple of str
        Sentences: what no name says and the user may change.
    problems : tuple of str
        Sentences: what the user has to decide before the case can be loaded.
    """

    name: str
    root: Path
    sources: tuple[VolumeSource, ...]
    skipped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

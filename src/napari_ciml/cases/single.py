"""Telling the folder of one case from a folder of cases."""

from pathlib import Path

from napari_ciml.cases.dicom.header import (
    NotDicomError,
    looks_like_dicom,
    read_header,
    require_pydicom,
)
from napari_ciml.cases.dicom.tree import first_dicom
from napari_ciml.cases.formats import suffix
from napari_ciml.cases.layouts import one_folder_each
from napari_ciml.cases.scan import scan
from napari_ciml.errors import InputError
from napari_ciml.monitor import Monitor


def is_one_case(folder: Path, monitor: Monitor | None = None) -> bool:
    """Whether a folder is a case itself: its own files are modalities, or its folders series.

    Folders of DICOM are series of one case if they are of one patient and, more often than not,
    share an examination; a patient's examinations, a folder each, are cases of their own.

    Parameters
    ----------
    folder : pathlib.Path
        That is there.
    monitor : Monitor, optional
        Told at each folder that is looked through for DICOM.

    Raises
    ------
    InputError
        If there is DICOM and no pydicom.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or Monitor()
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    if any(suffix(path) for path in files):
        return _are_modalities(folder, monitor)
    if any(looks_like_dicom(path) for path in files if path.name != "DICOMDIR"):
        return True
    return bool(one_folder_each(folder)) or _are_series(folder, monitor)


def _are_modalities(folder: Path, monitor: Monitor) -> bool:
    """Whether the images of a folder are two modalities or more, none of them claimed twice."""
    try:
        found = scan(folder, monitor=monitor)
    except InputError:
        return False
    named = [source for source in found.sources if source.modality]
    return len(named) > 1 and not found.problems


def _are_series(folder: Path, monitor: Monitor) -> bool:
    """Whether folders of DICOM are of one patient and share examinations."""
    people, studies = [], []
    folders = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
    for done, path in enumerate(folders):
        monitor.step("Looking for DICOM", done, len(folders))
        first = first_dicom(path, monitor)
        if first is None:
            continue
        require_pydicom()
        try:
            header = read_header(first)
        except NotDicomError:
            continue
        people.append(header.person.number)
        studies.append(header.tags.get("StudyInstanceUID") or first)
    return len(set(people)) == 1 and 2 * len(set(studies)) <= len(studies)

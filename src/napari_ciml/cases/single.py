"""Telling the folder of one case from a folder of cases."""

from pathlib import Path

from napari_ciml.cases.dicom.header import (
    NotDicomError,
    looks_like_dicom,
    read_header,
    require_pydicom,
)
from napari_ciml.cases.dicom.series_index import first_dicom
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.formats.volumes import image_suffix
from napari_ciml.cases.layouts import images_in_modality_folders
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor


def is_case_folder(folder: Path, monitor: ProgressMonitor | None = None) -> bool:
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
    monitor = monitor or ProgressMonitor()
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    if any(image_suffix(path) for path in files):
        return _are_modalities(folder, monitor)
    if any(looks_like_dicom(path) for path in files if path.name != "DICOMDIR"):
        return True
    return bool(images_in_modality_folders(folder)) or _are_series(folder, monitor)


def _are_modalities(folder: Path, monitor: ProgressMonitor) -> bool:
    """Whether the images of a folder are two modalities or more, none of them claimed twice."""
    try:
        found = discover_volumes(folder, monitor=monitor)
    except InputError:
        return False
    named = [source for source in found.sources if source.modality]
    return len(named) > 1 and not found.problems


def _are_series(folder: Path, monitor: ProgressMonitor) -> bool:
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

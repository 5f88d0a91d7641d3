"""Folder layouts of data sets, recognised by their content: autoPET, HECKTOR, BraTS 2015."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.formats.volumes import image_stem, image_suffix
from napari_ciml.cases.modality_names import modalities_in_name, name_parts
from napari_ciml.cases.notices import PreferredFile
from napari_ciml.cases.source import VolumeSource
from napari_ciml.errors import InputError

_PREFERRED = {
    "CT": ("ctres", "the CT on the grid of the PET"),
    "PET": ("suv", "the PET in SUV"),
}
"""By modality, the name part of the preferred one of two files, and its description."""

_HECKTOR = re.compile(r"(?P<case>.+)__(?P<modality>CT|PT)", re.IGNORECASE)


def prefer_derived_files(
    sources: Sequence[VolumeSource],
) -> tuple[tuple[VolumeSource, ...], tuple[PreferredFile, ...]]:
    """Prefer CTres to CT and SUV to PET, as in autoPET; return the sources and notices."""
    result, notices = list(sources), []
    for modality, (part, description) in _PREFERRED.items():
        rivals = [s for s in sources if s.modality == modality and s.stack is None]
        matches = [source for source in rivals if part in name_parts(image_stem(source.path))]
        if len(rivals) < 2 or len(matches) != 1:
            continue
        (best,) = matches
        for source in rivals:
            if source is not best:
                reason = f"{best.path.name} is used, {description}"
                result[result.index(source)] = replace(
                    source, modality=None, exclusion_reason=reason
                )
                notices.append(PreferredFile(best.path.name, description, source.path.name))
    return tuple(_with_suv_unit(source) for source in result), tuple(notices)


def _with_suv_unit(source: VolumeSource) -> VolumeSource:
    """State the unit of a PET file whose name says SUV."""
    is_pet_file = source.modality == "PET" and source.stack is None
    is_suv = is_pet_file and "suv" in name_parts(image_stem(source.path))
    return replace(source, unit="SUV") if is_suv else source


def hecktor_case(path: Path) -> tuple[str, dict[str, Path]] | None:
    """Return name and files of a HECKTOR case by one of its files or their common stem.

    Parameters
    ----------
    path : pathlib.Path
        ``imagesTr/CHUM-001__CT.nii.gz`` or ``imagesTr/CHUM-001``, which need not exist.

    Returns
    -------
    str, dict of str to pathlib.Path
        Name and files by modality; None if the path is of no HECKTOR case.
    """
    if path.is_dir() or not path.parent.is_dir():
        return None
    match = _HECKTOR.fullmatch(image_stem(path)) if image_suffix(path) else None
    if path.exists() and match is None:
        return None
    return _pair(match["case"] if match else path.name, path.parent)


def case_image_folder(folder: Path) -> Path:
    """Return the folder that holds the images: itself, or the only study of an autoPET patient.

    Raises
    ------
    InputError
        If it holds several cases.
    """
    cases = sorted({match["case"] for file in folder.iterdir() if (match := _match_name(file))})
    if len(cases) > 1:
        raise InputError(
            f"{folder}: holds {len(cases)} cases of PET and CT; open one, "
            f"for example {folder / cases[0]}."
        )
    if any(image_suffix(file) for file in folder.iterdir()):
        return folder
    studies = sorted({file.parent for file in folder.glob("*/SUV.nii*")})
    if len(studies) > 1:
        names = ", ".join(study.name for study in studies[:4])
        raise InputError(f"{folder}: holds {len(studies)} studies ({names}); open one of them.")
    return studies[0] if studies else folder


def images_in_modality_folders(folder: Path) -> list[Path]:
    """Return the images of an existing folder with a subfolder per modality, as in BraTS 2015.

    Returns
    -------
    list of pathlib.Path
        One image per subfolder; empty if the layout is another one.
    """
    images = sorted(file for file in folder.glob("*/*") if image_suffix(file) and file.is_file())
    matches = [modalities_in_name(image_stem(file)) for file in images]
    modalities = [names[0] for names in matches if len(names) == 1]
    one_per_folder = len({file.parent for file in images}) == len(images)
    return images if one_per_folder and len(modalities) == len(set(modalities)) > 1 else []


def _pair(case: str, folder: Path) -> tuple[str, dict[str, Path]] | None:
    files = {}
    for file in sorted(folder.iterdir()):
        match = _match_name(file)
        if match is not None and match["case"] == case:
            files["CT" if match["modality"].upper() == "CT" else "PET"] = file
    return (case, files) if files else None


def _match_name(file: Path) -> re.Match[str] | None:
    return _HECKTOR.fullmatch(image_stem(file)) if image_suffix(file) and file.is_file() else None

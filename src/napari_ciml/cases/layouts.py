"""Folder layouts of data sets, told by what is there: autoPET, HECKTOR, BRATS 2015."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.formats.volumes import image_stem, image_suffix
from napari_ciml.cases.modality_names import modalities_in_name, name_parts
from napari_ciml.cases.source import VolumeSource
from napari_ciml.errors import InputError

_BETTER = {
    "CT": ("ctres", "the CT on the grid of the PET"),
    "PET": ("suv", "the PET in SUV"),
}
"""Of two files of a modality the one with this part in its name is the one that is wanted."""

_HECKTOR = re.compile(r"(?P<case>.+)__(?P<what>CT|PT)", re.IGNORECASE)


def prefer_derived_files(
    sources: Sequence[VolumeSource],
) -> tuple[tuple[VolumeSource, ...], tuple[str, ...]]:
    """Choose CTres before CT and SUV before PET, as in autoPET; return sentences that say so."""
    kept, said = list(sources), []
    for modality, (part, what) in _BETTER.items():
        rivals = [s for s in sources if s.modality == modality and s.stack is None]
        better = [source for source in rivals if part in name_parts(image_stem(source.path))]
        if len(rivals) < 2 or len(better) != 1:
            continue
        (best,) = better
        for source in rivals:
            if source is not best:
                note = f"{best.path.name} is used, {what}"
                kept[kept.index(source)] = replace(source, modality=None, exclusion_reason=note)
                said.append(f"{best.path.name} is used, {what}; {source.path.name} is left out.")
    kept = [
        replace(source, unit="SUV")
        if source.modality == "PET"
        and source.stack is None
        and "suv" in name_parts(image_stem(source.path))
        else source
        for source in kept
    ]
    return tuple(kept), tuple(said)


def hecktor_case(path: Path) -> tuple[str, dict[str, Path]] | None:
    """Return a HECKTOR case's name and files, if a path names one of its files or their stem.

    Parameters
    ----------
    path : pathlib.Path
        ``imagesTr/CHUM-001__CT.nii.gz``, or ``imagesTr/CHUM-001``, which need not be there.
    """
    if path.is_dir() or not path.parent.is_dir():
        return None
    named = _HECKTOR.fullmatch(image_stem(path)) if image_suffix(path) else None
    if path.exists() and named is None:
        return None
    case = named["case"] if named else path.name
    return _pair(case, path.parent)


def case_image_folder(folder: Path) -> Path:
    """Return the folder where the images are: itself, or the one study of an autoPET patient.

    Raises
    ------
    InputError
        If it holds several cases.
    """
    cases = sorted({found["case"] for file in folder.iterdir() if (found := _named(file))})
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
    """Return the images of a case with a folder for each modality, as in BRATS 2015; else none.

    Parameters
    ----------
    folder : pathlib.Path
        That is there.
    """
    images = sorted(file for file in folder.glob("*/*") if image_suffix(file) and file.is_file())
    claims = [modalities_in_name(image_stem(file)) for file in images]
    named = [claim[0] for claim in claims if len(claim) == 1]
    alone = len({file.parent for file in images}) == len(images)
    return images if alone and len(named) == len(set(named)) > 1 else []


def _pair(case: str, folder: Path) -> tuple[str, dict[str, Path]] | None:
    files = {}
    for file in sorted(folder.iterdir()):
        found = _named(file)
        if found is not None and found["case"] == case:
            files["CT" if found["what"].upper() == "CT" else "PET"] = file
    return (case, files) if files else None


def _named(file: Path) -> re.Match[str] | None:
    return _HECKTOR.fullmatch(image_stem(file)) if image_suffix(file) and file.is_file() else None

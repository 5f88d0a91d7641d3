"""Where a data set keeps its cases: the folder layouts that are known, told by what is there."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.formats.volumes import image_stem, image_suffix
from napari_ciml.cases.modality_names import name_parts
from napari_ciml.errors import InputError


@dataclass(frozen=True)
class LabelledCase:
    """A case and where its reference is.

    Parameters
    ----------
    name : str
        Of the folder or file; shown, written nowhere unless the user asks.
    folder : pathlib.Path
        Where the images are.
    label : pathlib.Path or None
        The reference label map.
    files : mapping of str to pathlib.Path
        Modalities whose file the layout names; the others go by their names.
    passed_over : frozenset of int
        Label values that the data set has and that count as background.
    """

    name: str
    folder: Path
    label: Path | None
    files: Mapping[str, Path] = field(default_factory=dict, hash=False)
    ignored_labels: frozenset[int] = frozenset()

    @property
    def key(self) -> str:
        """What stands for the case in files that are written: part of its name's SHA-256."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]

    @property
    def reference(self) -> Path:
        """The label map, of a case that has one.

        Raises
        ------
        InputError
            If it has none.
        """
        if self.label is None:
            raise InputError(f"{self.folder}: has no label map; add it or leave the case out.")
        return self.label

    def open(self, modalities: tuple[str, ...]) -> Case:
        """Read the images.

        Raises
        ------
        InputError
            If a modality is missing or a file cannot be used.
        """
        files = {name: path for name, path in self.files.items() if name in modalities}
        return open_case(self.folder, overrides=files, needed=modalities)


def find_cases(data: Path) -> list[LabelledCase]:
    """Find the cases of a data set, sorted by name.

    Known are HECKTOR 2022 (``imagesTr`` and ``labelsTr``), autoPET (a folder for each patient, in
    it one for each study), and a folder for each case with a label map in it (BraTS, phantoms).

    Raises
    ------
    InputError
        If there is none.
    """
    if not data.is_dir():
        raise InputError(f"{data}: there is no such folder; point to a folder of cases.")
    for layout in _LAYOUTS:
        found = layout(data)
        if found:
            return sorted(found, key=lambda case: case.name)
    raise InputError(f"{data}: holds no case folders; point to a folder of cases.")


def replay_cases(
    folder: Path | None, samples: Path, modalities: tuple[str, ...]
) -> list[LabelledCase]:
    """Return the cases not to forget: those of a folder, or all samples with the modalities.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    if folder is not None:
        return find_cases(folder)
    folders = sorted({path.parent for path in samples.rglob("*_seg.nii.gz")})
    found = [labelled_case(folder) for folder in folders]
    return [
        case
        for case in found
        if set(modalities) <= {source.modality for source in discover_volumes(case.folder).sources}
    ]


def _hecktor(data: Path) -> list[LabelledCase]:
    images = data / "imagesTr"
    found = []
    for ct in sorted(images.glob("*__CT.*")) if images.is_dir() else ():
        name = ct.name.split("__CT.")[0]
        files = {"CT": ct}
        for pet in images.glob(f"{name}__PT.*"):
            files["PET"] = pet
        label = next((data / "labelsTr").glob(f"{name}.*"), None)
        # Value 1 is the primary tumour, which the paper does not segment.
        found.append(LabelledCase(name, images / name, label, files, frozenset({1})))
    return found


def _autopet(data: Path) -> list[LabelledCase]:
    found = []
    for pet in sorted(data.glob("*/*/SUV.nii*")):
        study = pet.parent
        # CTres is the CT on the grid of the PET, on which the reference lies too.
        ct = next((path for path in (study / f"CTres{image_suffix(pet)}",) if path.is_file()), None)
        files = {"PET": pet} | ({"CT": ct} if ct else {})
        label = next(study.glob("SEG.nii*"), None)
        found.append(LabelledCase(f"{study.parent.name}/{study.name}", study, label, files))
    return found


def _folders(data: Path) -> list[LabelledCase]:
    return [
        labelled_case(path)
        for path in data.iterdir()
        if path.is_dir() and any(image_suffix(file) for file in path.iterdir())
    ]


def labelled_case(folder: Path) -> LabelledCase:
    """Return a case folder with the one label map in it; none, if there is not exactly one."""
    return LabelledCase(folder.name, folder, _only_label(folder))


_LABELS = {"seg", "segm", "segmentation", "label", "labels", "otmulticlass", "groundtruth"}
"""Name parts of label maps."""


def _only_label(folder: Path) -> Path | None:
    """Return the one label map of a folder; BraTS 2020 spells one of its 369 ``Segm``."""
    named = [
        path
        for path in folder.iterdir()
        if image_suffix(path) and name_parts(image_stem(path)) & _LABELS
    ]
    return named[0] if len(named) == 1 else None


_LAYOUTS: tuple[Callable[[Path], list[LabelledCase]], ...] = (_hecktor, _autopet, _folders)

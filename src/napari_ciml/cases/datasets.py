"""Labelled cases of data sets with known folder layouts (HECKTOR, autoPET, BraTS)."""

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
    """A case of a data set and its reference label map.

    Parameters
    ----------
    name : str
        Name of the folder or file; written to files only on request.
    folder : pathlib.Path
        Folder of the images.
    label : pathlib.Path or None
        Reference label map.
    files : mapping of str to pathlib.Path
        Files by modality that the layout defines; other modalities are cases by file name.
    ignored_labels : frozenset of int
        Label values of the data set that count as background.
    """

    name: str
    folder: Path
    label: Path | None
    files: Mapping[str, Path] = field(default_factory=dict, hash=False)
    ignored_labels: frozenset[int] = frozenset()

    @property
    def key(self) -> str:
        """Pseudonym of the case in files: the first 12 digits of the SHA-256 of its name."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]

    @property
    def reference(self) -> Path:
        """The reference label map.

        Raises
        ------
        InputError
            If the case has none.
        """
        if self.label is None:
            raise InputError(f"{self.folder}: has no label map; add it or leave the case out.")
        return self.label

    def open(self, modalities: tuple[str, ...]) -> Case:
        """Load the images.

        Raises
        ------
        InputError
            If a modality is missing or a file cannot be used.
        """
        files = {name: path for name, path in self.files.items() if name in modalities}
        return open_case(self.folder, overrides=files, needed=modalities)


def find_cases(data: Path) -> list[LabelledCase]:
    """Return the cases of a data set, sorted by name.

    Supported layouts are HECKTOR 2022 (``imagesTr`` and ``labelsTr``), autoPET (a folder per
    patient with a folder per study), and a folder per case with its label map (BraTS, phantoms).

    Raises
    ------
    InputError
        If there is none.
    """
    if not data.is_dir():
        raise InputError(f"{data}: there is no such folder; point to a folder of cases.")
    for layout in _LAYOUTS:
        cases = layout(data)
        if cases:
            return sorted(cases, key=lambda case: case.name)
    raise InputError(f"{data}: holds no case folders; point to a folder of cases.")


def replay_cases(
    folder: Path | None, samples: Path, modalities: tuple[str, ...]
) -> list[LabelledCase]:
    """Return the replay cases of a fine-tuning: of a folder, or all samples with the modalities.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    if folder is not None:
        return find_cases(folder)
    folders = sorted({path.parent for path in samples.rglob("*_seg.nii.gz")})
    cases = [labelled_case(folder) for folder in folders]
    return [
        case
        for case in cases
        if set(modalities) <= {source.modality for source in discover_volumes(case.folder).sources}
    ]


def _hecktor(data: Path) -> list[LabelledCase]:
    images = data / "imagesTr"
    cases = []
    for ct in sorted(images.glob("*__CT.*")) if images.is_dir() else ():
        name = ct.name.split("__CT.")[0]
        files = {"CT": ct}
        for pet in images.glob(f"{name}__PT.*"):
            files["PET"] = pet
        label = next((data / "labelsTr").glob(f"{name}.*"), None)
        # Value 1 is the primary tumour, which the paper does not segment.
        cases.append(LabelledCase(name, images / name, label, files, frozenset({1})))
    return cases


def _autopet(data: Path) -> list[LabelledCase]:
    cases = []
    for pet in sorted(data.glob("*/*/SUV.nii*")):
        study = pet.parent
        # CTres is the CT on the grid of the PET, on which the reference lies too.
        ct = next((path for path in (study / f"CTres{image_suffix(pet)}",) if path.is_file()), None)
        files = {"PET": pet} | ({"CT": ct} if ct else {})
        label = next(study.glob("SEG.nii*"), None)
        cases.append(LabelledCase(f"{study.parent.name}/{study.name}", study, label, files))
    return cases


def _folders(data: Path) -> list[LabelledCase]:
    return [
        labelled_case(path)
        for path in data.iterdir()
        if path.is_dir() and any(image_suffix(file) for file in path.iterdir())
    ]


def labelled_case(folder: Path) -> LabelledCase:
    """Return the case of a folder, without a label map unless there is exactly one."""
    return LabelledCase(folder.name, folder, _only_label(folder))


_LABELS = {"seg", "segm", "segmentation", "label", "labels", "otmulticlass", "groundtruth"}
"""Name parts of label maps."""


def _only_label(folder: Path) -> Path | None:
    """Return the only label map of a folder, or None; one in BraTS 2020 is named ``Segm``."""
    paths = [
        path
        for path in folder.iterdir()
        if image_suffix(path) and name_parts(image_stem(path)) & _LABELS
    ]
    return paths[0] if len(paths) == 1 else None


_LAYOUTS: tuple[Callable[[Path], list[LabelledCase]], ...] = (_hecktor, _autopet, _folders)

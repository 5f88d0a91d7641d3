from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.datasets import find_cases
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import write_volume
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import InputError

GRID = Grid((8, 8, 8), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def volume(path: Path, label: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.arange(512, dtype=np.int16).reshape(8, 8, 8)
    write_volume(path, np.full((8, 8, 8), label, np.uint8) if label else array, GRID)


def test_brats2020(tmp_path: Path) -> None:
    for k, seg in ((1, "BraTS20_Training_001_seg"), (355, "W39_1998.09.19_Segm")):
        name = f"BraTS20_Training_{k:03d}"
        for modality in ("flair", "t1", "t1ce", "t2"):
            volume(tmp_path / name / f"{name}_{modality}.nii.gz")
        volume(tmp_path / name / f"{seg}.nii.gz", 4)
    (tmp_path / "name_mapping.csv").touch()
    found = find_cases(tmp_path)
    assert [case.name for case in found] == ["BraTS20_Training_001", "BraTS20_Training_355"]
    assert [case.label.name for case in found if case.label] == [
        "BraTS20_Training_001_seg.nii.gz",
        "W39_1998.09.19_Segm.nii.gz",
    ]
    case = found[1].open(PRESETS["brats2020"].input_modalities)
    assert tuple(case.images) == ("FLAIR", "T1", "T2", "T1CE")


def test_autopet(tmp_path: Path) -> None:
    study = tmp_path / "PETCT_0011f3deaf" / "03-23-2003-NA-Unspecified"
    for name in ("CT", "CTres", "PET", "SUV"):
        volume(study / f"{name}.nii.gz")
    volume(study / "SEG.nii.gz", 1)
    (case,) = find_cases(tmp_path)
    assert case.label == study / "SEG.nii.gz"
    assert {name: path.name for name, path in case.files.items()} == {
        "PET": "SUV.nii.gz",
        "CT": "CTres.nii.gz",
    }
    assert set(case.open(("PET", "CT")).images) == {"PET", "CT"}


def test_hecktor2022(tmp_path: Path) -> None:
    for name in ("CHUM-001", "MDA-002"):
        volume(tmp_path / "imagesTr" / f"{name}__CT.nii.gz")
        volume(tmp_path / "imagesTr" / f"{name}__PT.nii.gz")
        volume(tmp_path / "labelsTr" / f"{name}.nii.gz", 2)
    first, _ = find_cases(tmp_path)
    assert first.label == tmp_path / "labelsTr" / "CHUM-001.nii.gz"
    assert set(first.open(("PET", "CT")).images) == {"PET", "CT"}
    assert first.ignored_labels == {1}
    assert PRESETS["hecktor2022"].regions[0].labels == (2,)


def test_a_label_map_is_the_only_one(tmp_path: Path) -> None:
    volume(tmp_path / "a" / "t1.nii.gz")
    assert find_cases(tmp_path)[0].label is None
    volume(tmp_path / "a" / "a_seg.nii.gz", 1)
    assert find_cases(tmp_path)[0].label is not None
    volume(tmp_path / "a" / "b_seg.nii.gz", 1)
    assert find_cases(tmp_path)[0].label is None


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no case folders"):
        find_cases(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_cases(tmp_path / "nowhere")


def test_a_key_does_not_tell_the_name(tmp_path: Path) -> None:
    volume(tmp_path / "Doe_John" / "t1.nii.gz")
    (case,) = find_cases(tmp_path)
    assert "doe" not in case.key.lower()
    assert len(case.key) == 12

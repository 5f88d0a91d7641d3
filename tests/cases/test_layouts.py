"""How autoPET and HECKTOR hand out their cases."""

from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.case import open_case
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import write_volume
from napari_ciml.errors import InputError

PET = Grid((12, 10, 8), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
CT = Grid((24, 20, 16), (2.0, 2.0, 2.0), (-1.0, -1.0, -1.0))


def put(path: Path, grid: Grid = PET, scale: float = 5.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    write_volume(path, values * scale, grid)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A patient of autoPET, with one study."""
    folder = tmp_path / "PETCT_0011" / "04-02-2001-NA-PET-CT"
    for name, grid, scale in [
        ("CT", CT, 900), ("CTres", PET, 800), ("PET", PET, 30000), ("SUV", PET, 9), ("SEG", PET, 1)
    ]:  # fmt: skip
        put(folder / f"{name}.nii.gz", grid, scale)
    return folder


def test_autopet_takes_ctres_and_suv_and_says_so(study: Path) -> None:
    for place in (study, study.parent):
        case = open_case(place)
        assert case.sources["CT"].path.name == "CTres.nii.gz"
        assert case.sources["PET"].path.name == "SUV.nii.gz"
        assert case.units == {"CT": "HU", "PET": "SUV"}
        assert case.assumptions == (
            "CTres.nii.gz is used, the CT on the grid of the PET; CT.nii.gz is left out.",
            "SUV.nii.gz is used, the PET in SUV; PET.nii.gz is left out.",
        )
    chosen = open_case(study, overrides={"CT": study / "CT.nii.gz"})
    assert chosen.sources["CT"].path.name == "CT.nii.gz"
    assert not any("CTres" in said and "is used" in said for said in chosen.assumptions)


def test_an_autopet_patient_with_two_studies(study: Path) -> None:
    put(study.parent / "08-02-2002-NA" / "SUV.nii.gz")
    with pytest.raises(InputError, match="holds 2 studies"):
        discover_volumes(study.parent)


def test_a_pet_whose_values_cannot_be_suv(study: Path) -> None:
    case = open_case(study, overrides={"PET": study / "PET.nii.gz"})
    assert case.units["PET"] == "Bq/mL"
    assert any("too large for SUV" in said for said in case.notices)


@pytest.mark.parametrize("opened", ["CHUM-001", "CHUM-001__CT.nii.gz", "CHUM-001__PT.nii.gz"])
def test_hecktor_by_its_case_or_either_file(opened: str, tmp_path: Path) -> None:
    images = tmp_path / "imagesTr"
    for case in ("CHUM-001", "MDA-002"):
        put(images / f"{case}__CT.nii.gz", CT, 900)
        put(images / f"{case}__PT.nii.gz")
    found = discover_volumes(images / opened)
    assert found.name == "CHUM-001"
    assert {source.modality: source.path.name for source in found.sources} == {
        "CT": "CHUM-001__CT.nii.gz", "PET": "CHUM-001__PT.nii.gz"
    }  # fmt: skip
    assert open_case(images / opened).reference == "PET"
    with pytest.raises(InputError, match="holds 2 cases of PET and CT; open one"):
        discover_volumes(images)

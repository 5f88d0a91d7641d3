import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.datasets import find_cases
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import read_labels, write_volume
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.audit import audit


@pytest.fixture
def spoilt(data: Path, tmp_path: Path) -> Path:
    """Eight cases, of which only the first two are sound."""
    copied = sorted(path for path in data.iterdir() if path.is_dir())
    for k in range(8):
        shutil.copytree(copied[k % 4], tmp_path / f"case{k}")
    next((tmp_path / "case2").glob("*_seg*")).unlink()
    label = next((tmp_path / "case3").glob("*_seg*"))
    labels, grid = read_labels(label)
    write_volume(label, np.where(labels == 1, 7, labels).astype(np.uint8), grid)
    next((tmp_path / "case4").glob("*_CT*")).unlink()
    label = next((tmp_path / "case5").glob("*_seg*"))
    labels, grid = read_labels(label)
    moved = Grid(grid.size, grid.spacing, (grid.origin[0] + 40, *grid.origin[1:]), grid.direction)
    write_volume(label, labels.astype(np.uint8), moved)
    pet = next((tmp_path / "case6").glob("*_PET*"))
    pet.write_bytes(gzip.compress(b"no image"))
    ct = next((tmp_path / "case7").glob("*_CT*"))
    smaller = Grid((20, 20, 20), (9.0, 9.0, 9.0), (-90.0, -90.0, -90.0))
    write_volume(ct, np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype("i2"), smaller)
    return tmp_path


def test_everything_wrong_is_listed_at_once(spoilt: Path) -> None:
    cases = find_cases(spoilt)
    flaws = audit(cases, PRESETS["autopet"], ProgressMonitor(), workers=2)
    assert [flaw.case.name for flaw in flaws] == [f"case{k}" for k in range(2, 8)]
    expected = (
        "no label map",
        "has label 7, which is in no region of autopet (1)",
        "CT is missing",
        "lies on another grid",
        "damaged",
        "its modalities lie on different grids",
    )
    for flaw, words in zip(flaws, expected, strict=True):
        assert words in str(flaw), flaw


def test_a_sound_cohort(data: Path) -> None:
    assert audit(find_cases(data), PRESETS["autopet"], ProgressMonitor()) == ()


def test_a_cohort_never_aligned_is_no_mistake(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    grid = Grid((20, 20, 20), (9.0, 9.0, 9.0), (-90.0, -90.0, -90.0))
    for ct in tmp_path.glob("*/*_CT*"):
        write_volume(ct, np.random.default_rng(0).integers(0, 9, (20, 20, 20)).astype("i2"), grid)
    assert audit(find_cases(tmp_path), PRESETS["autopet"], ProgressMonitor()) == ()


def test_cancel(data: Path) -> None:
    monitor = ProgressMonitor()
    monitor.stop.set()
    with pytest.raises(CancelledError):
        audit(find_cases(data), PRESETS["autopet"], monitor)

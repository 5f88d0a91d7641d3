"""A patient as scanned, compared with the same patient registered."""

from pathlib import Path

import pandas as pd
import pytest
import SimpleITK as sitk

from napari_ciml.cli import main
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
from napari_ciml.research.studies.native_alignment import measure_native


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    write_phantoms(tmp_path / "data", PhantomSettings("glioma", 3.0), 1, 40_000, ProgressMonitor())
    folder = tmp_path / "data" / "glioma_40000"
    next(folder.glob("*_flair.nii.gz")).unlink()
    return folder


def as_scanned(prepared: Path, folder: Path) -> Path:
    """Write the case elsewhere in the world, with T2 a centimetre beside the others."""
    folder.mkdir()
    for file in prepared.glob("*.nii.gz"):
        image = sitk.ReadImage(str(file))
        x, y, z = image.GetOrigin()
        image.SetOrigin((x + 7, y - 3, z + (10 if "_t2" in file.name else 0)))
        sitk.WriteImage(image, str(folder / file.name))
    return folder


def test_what_is_left_after_aligning_is_told(prepared: Path, tmp_path: Path) -> None:
    native = as_scanned(prepared, tmp_path / "native")
    table = pd.read_csv(measure_native(native, prepared, tmp_path, ProgressMonitor()))
    rows = table.set_index("moved")
    assert len(rows) == 2
    assert rows.before_mm["T2"] == pytest.approx(10, abs=0.5)
    assert rows.after_mm.max() < 1.5
    assert (rows.largest_mm >= rows.after_mm).all()


def test_cases_must_have_the_same_modalities(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    native = as_scanned(prepared, tmp_path / "native")
    for name in ("t1", "t2"):
        next(prepared.glob(f"*_{name}.nii.gz")).unlink()
    with pytest.raises(InputError, match="does not have the modalities"):
        measure_native(native, prepared, tmp_path, ProgressMonitor())
    asked = ["reproduce", "registration", "-o", str(tmp_path), "--data", str(native)]
    assert main(asked) == 2
    assert "--external" in capsys.readouterr().err

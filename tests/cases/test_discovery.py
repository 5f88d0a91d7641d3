from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from helpers.cases import write_case
from napari_ciml.cases.case import open_case
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import write_volume
from napari_ciml.errors import InputError

GRID = Grid((12, 10, 8), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))


def write_4d(path: Path, channels: int) -> Path:
    rng = np.random.default_rng(1)
    volumes = [GRID.to_sitk(rng.random(GRID.shape).astype(np.float32) + k) for k in range(channels)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(path))
    return path


def test_folder(case_folder: Path) -> None:
    write_case(case_folder, GRID, names="seg")
    (case_folder / "notes.txt").write_text("not an image")
    found = discover_volumes(case_folder)
    assert [s.modality for s in found.sources] == ["FLAIR", "T1", "T1CE", "T2"]
    assert found.problems == ()
    assert found.skipped == ("case_seg.nii.gz is a label map or a result, not an image.",)


def test_two_files_claim_one_modality(case_folder: Path) -> None:
    write_case(case_folder, GRID, names="FLA")
    with pytest.raises(InputError, match=r"case_FLA.nii.gz and case_flair.nii.gz are both FLAIR"):
        open_case(case_folder)
    chosen = open_case(case_folder, overrides={"FLAIR": case_folder / "case_flair.nii.gz"})
    assert chosen.sources["FLAIR"].path.name == "case_flair.nii.gz"
    assert set(chosen.images) == {"FLAIR", "T1", "T1CE", "T2"}


def test_one_file_claims_two(case_folder: Path) -> None:
    write_case(case_folder, GRID, names="t1_pet")
    with pytest.raises(InputError, match=r"case_t1_pet.nii.gz could be T1 or PET by its name"):
        open_case(case_folder)


def test_missing_modality_says_what_is_there(case_folder: Path) -> None:
    (case_folder / "case_t1ce.nii.gz").unlink()
    with pytest.raises(InputError, match=r"T1CE is missing \(recognised: FLAIR, T1, T2\)"):
        open_case(case_folder, needed=("FLAIR", "T1CE"))


def test_4d_with_four_channels_says_what_it_assumes(tmp_path: Path) -> None:
    case = open_case(write_4d(tmp_path / "task01.nii.gz", 4))
    assert list(case.images) == ["FLAIR", "T1", "T1CE", "T2"]
    assert "Channels are assumed to be FLAIR, T1, T1CE, T2" in case.assumptions[0]
    assert [int(image.mean()) for image in case.images.values()] == [0, 1, 2, 3]


def test_4d_channels_named(tmp_path: Path) -> None:
    path = write_4d(tmp_path / "two.nii.gz", 2)
    case = open_case(path, channels=["T1CE", "FLAIR"])
    assert {name: int(image.mean()) for name, image in case.images.items()} == {
        "T1CE": 0,
        "FLAIR": 1,
    }
    with pytest.raises(InputError, match="2 channels and 1 different names"):
        discover_volumes(path, ["T1"])


def test_4d_with_five_channels_is_nobodys_guess(tmp_path: Path) -> None:
    path = write_4d(tmp_path / "five.nii.gz", 5)
    found = discover_volumes(path)
    assert [source.modality for source in found.sources] == [None] * 5
    assert "has 5 channels" in found.problems[0].text
    with pytest.raises(InputError, match=r"has 5 channels .* --channels"):
        open_case(path)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "x_t1.nii.gz").write_bytes(b"this is no image")
    with pytest.raises(InputError, match=r"x_t1.nii.gz: cannot be read"):
        discover_volumes(tmp_path)


def test_truncated_voxels(case_folder: Path) -> None:
    path = case_folder / "case_t2.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"case_t2.nii.gz: cannot be read"):
        open_case(case_folder)


def test_empty_and_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        discover_volumes(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        discover_volumes(tmp_path / "nowhere")


def test_single_slice_is_no_volume(tmp_path: Path) -> None:
    flat = Grid((12, 10, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    write_volume(tmp_path / "x_t1.nii.gz", np.ones(flat.shape, np.float32), flat)
    with pytest.raises(InputError, match="not a volume"):
        discover_volumes(tmp_path)


def test_a_metaimage_that_is_cut_short(tmp_path: Path) -> None:
    write_volume(tmp_path / "x_t1.mha", np.random.default_rng(0).random(GRID.shape), GRID)
    path = tmp_path / "x_t1.mha"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"x_t1.mha: cannot be read, it ends too early"):
        open_case(tmp_path)

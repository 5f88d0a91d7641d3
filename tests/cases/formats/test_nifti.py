"""NIfTI files as other programs write them: single precision, one form only, either byte order."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.discovery import VolumeSource
from napari_ciml.cases.formats.volumes import read_header, read_volume
from napari_ciml.cases.geometry import Grid, reorient
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.errors import InputError

SHAPE = (5, 6, 7)
QFORM, SFORM, BOTH = (1, 0), (0, 1), (2, 4)


def oblique(degrees: tuple[float, float, float]) -> np.ndarray:
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def write_nifti(
    path: Path, turn: np.ndarray, codes: tuple[int, int], *, order: str = "<", channels: int = 1
) -> None:
    """Write a NIfTI file field by field, from the format's definition."""
    spacing, origin = (0.9375, 1.1, 5.5), (-101.3, 77.7, -20.1)
    x, y, z, w = Rotation.from_matrix(turn).as_quat()
    quatern = np.array([x, y, z]) * (1 if w >= 0 else -1)
    srow = np.c_[turn * spacing, origin].ravel()
    dim = (3 if channels == 1 else 4, *SHAPE[::-1], channels, 1, 1, 1)
    header = bytearray(352)
    put = (("i", 0, 348), ("8h", 40, *dim), ("2h", 70, 16, 32), ("4f", 76, 1, *spacing))
    put += (("2f", 108, 352, 1), ("B", 123, 2), ("80s", 148, b"A. Patient"), ("2h", 252, *codes))
    put += (("6f", 256, *quatern, *origin), ("12f", 280, *srow), ("4s", 344, b"n+1\0"))
    for form, at, *values in put:
        struct.pack_into(order + form, header, at, *values)
    voxels = np.arange(channels * np.prod(SHAPE)).astype(order + "f4").tobytes()
    content = bytes(header) + voxels
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def written_and_read(path: Path, channel: int | None = None) -> tuple[Path, np.ndarray]:
    """Bring a file to the case grid and write it back."""
    native = read_header(path).grid
    image = reorient(read_volume(path, channel), "LPS")
    source = VolumeSource(path, channel, "T1", native)
    case = Case("case", {}, Grid.of(image), "T1", native, {"T1": source})
    result = path.with_name("result.nii.gz")
    write_on_native_grid(result, sitk.GetArrayFromImage(image), case)
    return result, sitk.GetArrayFromImage(sitk.ReadImage(str(result)))


@pytest.mark.parametrize("codes", [QFORM, SFORM, BOTH])
@pytest.mark.parametrize("degrees", [(12.0, -7.0, 20.0), (3.3, 1.7, -2.9), (95.0, 4.0, 170.0)])
def test_oblique_files_of_other_programs_come_back_bit_for_bit(
    codes: tuple[int, int], degrees: tuple[float, float, float], tmp_path: Path
) -> None:
    path = tmp_path / "case_t1.nii.gz"
    write_nifti(path, oblique(degrees), codes)
    result, values = written_and_read(path)
    original = sitk.ReadImage(str(path))
    assert Grid.of(sitk.ReadImage(str(result))) == Grid.of(original)
    np.testing.assert_array_equal(values, sitk.GetArrayFromImage(original))
    # Readers that go by the other form, or by the header itself, find the same, too.
    before, after = gzip.decompress(path.read_bytes()), gzip.decompress(result.read_bytes())
    assert before[252:328] == after[252:328]
    assert before[76:92] == after[76:92]


def test_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "case_t1.nii"
    write_nifti(path, oblique((12, -7, 20)), BOTH, order=">")
    result, values = written_and_read(path)
    assert read_header(result).grid == read_header(path).grid
    np.testing.assert_array_equal(values.ravel(), np.arange(values.size))


def test_a_channel_of_a_4d_file(tmp_path: Path) -> None:
    path = tmp_path / "case.nii.gz"
    write_nifti(path, oblique((12, -7, 20)), SFORM, channels=3)
    result, values = written_and_read(path, channel=2)
    assert Grid.of(sitk.ReadImage(str(result))) == read_header(path).grid
    np.testing.assert_array_equal(values.ravel(), np.arange(values.size) + 2 * values.size)


def test_what_a_header_tells_of_a_patient_stays_behind(tmp_path: Path) -> None:
    path = tmp_path / "case_t1.nii"
    write_nifti(path, np.eye(3), SFORM)
    assert b"Patient" in path.read_bytes()
    assert b"Patient" not in gzip.decompress(written_and_read(path)[0].read_bytes())


def test_a_reference_that_is_gone_or_replaced(tmp_path: Path) -> None:
    """The grid that was read counts, not what lies in the file's place by now."""
    path, result = tmp_path / "case_t1.nii", tmp_path / "result.nii"
    write_nifti(path, oblique((12, -7, 20)), SFORM)
    case = open_case(tmp_path)
    write_nifti(path, np.eye(3), SFORM)
    write_on_native_grid(result, case.images["T1"], case)
    assert read_header(result).grid.is_close(case.native_grid)
    path.unlink()
    write_on_native_grid(result, case.images["T1"], case)
    assert read_header(result).grid.is_close(case.native_grid)


def test_compression_goes_by_the_contents(tmp_path: Path) -> None:
    path = tmp_path / "case_t1.nii.gz"
    write_nifti(tmp_path / "plain.nii", np.eye(3), SFORM)
    (tmp_path / "plain.nii").rename(path)
    assert open_case(tmp_path).images["T1"].max() == np.prod(SHAPE) - 1


@pytest.mark.parametrize(
    ("at", "form", "value", "complaint"),
    [
        (80, "<f", np.nan, "voxel size or position is not a number"),
        (84, "<f", 0.0, "voxel size or position is not a number"),
        (284, "<f", np.nan, "voxel size or position is not a number"),
        (268, "<f", np.inf, "voxel size or position is not a number"),
        (42, "<h", -5, "its header is damaged"),
        (40, "<h", 0, "its header is damaged"),
        (70, "<h", 9999, "its header is damaged"),
        (108, "<f", np.nan, "its header is damaged"),
        (344, "4s", b"abcd", "damaged or no image"),
        (42, "<h", 30000, "ends too early"),
    ],
)
def test_headers_that_make_no_sense(
    at: int,
    form: str,
    value: object,
    complaint: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "case_t1.nii"
    write_nifti(path, np.eye(3), BOTH)
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, at, value)
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        open_case(tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", [0, 1, 2])
def test_nifti_2_lies_where_the_same_nifti_1_does(order: str, unit: int, tmp_path: Path) -> None:
    first, second = tmp_path / "first.nii.gz", tmp_path / "second.nii.gz"
    write_nifti(first, oblique((12, -7, 20)), SFORM, order=order, channels=2)
    image = nib.Nifti1Image.from_filename(first)
    header = nib.Nifti2Header.from_header(image.header)
    header.set_xyzt_units(unit)
    scale = np.diag([0.001, 0.001, 0.001, 1.0] if unit == 1 else [1.0] * 4)
    values = image.get_fdata().astype(np.int16)
    nib.Nifti2Image(values, scale @ image.affine, header).to_filename(second)
    a, b = read_header(first), read_header(second)
    assert (b.channels, b.grid.size) == (a.channels, a.grid.size)
    assert b.grid.is_close(a.grid)
    for channel in range(2):
        both = [sitk.GetArrayFromImage(read_volume(path, channel)) for path in (first, second)]
        np.testing.assert_array_equal(*both)
    result, labels = written_and_read(second, channel=1)
    assert Grid.of(sitk.ReadImage(str(result))).is_close(a.grid)
    np.testing.assert_array_equal(labels, both[1])


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "case_t1.nii.gz"
    write_nifti(tmp_path / "plain.nii", np.eye(3), SFORM)
    content = bytearray((tmp_path / "plain.nii").read_bytes())
    struct.pack_into("<2f", content, 112, 0.5, -3)
    path.write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_volume(path)), sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    )


def test_complex_voxels_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "case_t1.nii.gz"
    nib.Nifti1Image(np.ones((5, 6, 7), np.complex64), np.eye(4)).to_filename(path)
    with pytest.raises(InputError, match=r"case_t1.nii.gz: .* export the magnitude"):
        open_case(tmp_path)

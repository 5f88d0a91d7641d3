"""Voxels packed in every way that GDCM unpacks, and in ways that it does not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from helpers.dicom_files import pack, positions, write_enhanced, write_series
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError

GRID = Grid((24, 20, 4), (1.0, 1.5, 2.0), (3.0, -4.0, 5.0))


def by_gdcm(compressor: str) -> Callable[[Path], None]:
    return lambda path: pack(path, compressor)


def by_pydicom(syntax: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        whole = pydicom.dcmread(path)
        # All values are positive: JPEG-LS in DICOM knows no sign.
        whole.PixelRepresentation = 0
        whole.compress(syntax)
        whole.save_as(path)

    return change


def claims(syntax: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        whole = pydicom.dcmread(path)
        whole.PixelData = encapsulate([b"\0\1\2\3"])
        whole["PixelData"].VR = "OB"
        whole.file_meta.TransferSyntaxUID = syntax
        whole.save_as(path)

    return change


def plain(folder: Path, values: np.ndarray) -> tuple[list[Path], np.ndarray]:
    paths = write_series(folder, GRID, values, SeriesDescription="T1")
    return paths, open_case(folder).images["T1"]


@pytest.mark.parametrize(
    ("packing", "name"),
    [
        (by_gdcm("JPEG"), "JPEG Lossless, Non-Hierarchical"),
        (by_gdcm("JPEG2000"), "JPEG 2000 Image Compression (Lossless Only)"),
        (by_pydicom(JPEGLSLossless), "JPEG-LS Lossless"),
        (by_pydicom(RLELossless), "RLE Lossless"),
    ],
    ids=["JPEG", "JPEG2000", "JPEG-LS", "RLE"],
)
def test_what_was_packed_without_loss_is_read_bit_for_bit(
    packing: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    paths, expected = plain(tmp_path, positions(GRID))
    for path in paths:
        packing(path)
    assert pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID.name.startswith(name)
    case = open_case(tmp_path)
    np.testing.assert_array_equal(case.images["T1"], expected)
    assert case.grid.spacing == GRID.spacing


def test_frames_packed_by_run_lengths(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "1", GRID, positions(GRID), SeriesDescription="T1")
    expected = open_case(tmp_path).images["T1"]
    by_pydicom(RLELossless)(path)
    np.testing.assert_array_equal(open_case(tmp_path).images["T1"], expected)


def test_jpeg_of_eight_bits_is_read_nearly(tmp_path: Path) -> None:
    smooth = np.stack([np.add.outer(np.arange(20), np.arange(24)) * 4 + k for k in range(4)])
    paths, expected = plain(tmp_path, smooth.astype(np.int16))
    for path in paths:
        whole, picture = pydicom.dcmread(path), io.BytesIO()
        Image.fromarray(whole.pixel_array.astype(np.uint8)).save(picture, "JPEG", quality=95)
        whole.BitsAllocated = whole.BitsStored = 8
        whole.HighBit, whole.PixelRepresentation = 7, 0
        whole.PixelData = encapsulate([picture.getvalue()])
        whole["PixelData"].VR = "OB"
        whole.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        whole.save_as(path)
    assert np.abs(open_case(tmp_path).images["T1"] - expected).max() < 4


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (HTJ2KLossless, "High-Throughput JPEG 2000"),
        (MPEG4HP41, "MPEG-4 AVC/H.264"),
        ("1.2.3.4", "something unknown"),
    ],
)
def test_what_is_not_read_is_refused_by_name(syntax: str, name: str, tmp_path: Path) -> None:
    paths, _ = plain(tmp_path, positions(GRID))
    for path in paths:
        claims(syntax)(path)
    with pytest.raises(InputError, match=rf"Series 1 \(T1\) is left out: .* as {name}.*not read"):
        open_case(tmp_path)

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_ciml.cases.formats.nrrd import validate_nrrd_header
from napari_ciml.cases.formats.volumes import read_header
from napari_ciml.errors import InputError


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_sound_files_are_read(suffix: str, kind: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 8, 40), kind)), str(path), packed)
    validate_nrrd_header(path)
    assert read_header(path).grid.size == (40, 8, 9)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        (b"sizes: 5 6 7", b"sizes: 5 6 99999999999"),
        (b"sizes: 5 6 7", b"sizes: 5 6"),
        (b"sizes: 5 6 7", b"sizes: 500 600 700"),
        (b"sizes: 5 6 7", b"sizes: 5 -6 7"),
        (b"dimension: 3", b"dimension: 99999999999"),
        (b"type: float", b"type: 0 0 0"),
        (b"space origin: (0,0,0)", b"space origin: (0,x,0)"),
    ],
)
def test_absurd_headers_are_refused(line: bytes, other: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((7, 6, 5), np.float32)), str(path))
    content = path.read_bytes()
    assert line in content
    path.write_bytes(content.replace(line, other))
    with pytest.raises(InputError, match="header is damaged"):
        read_header(path)

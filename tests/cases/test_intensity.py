from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.intensity import background_value, foreground, normalise
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.cases.writing import read_labels, write_volume
from napari_ciml.errors import InputError
from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor


def ball(radius: float = 0.7) -> np.ndarray:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij")
    return z**2 + y**2 + x**2 < radius**2


@pytest.mark.parametrize("background", [0.0, -3.55, 1000.0])
def test_foreground_whatever_the_background_is(background: float) -> None:
    rng = np.random.default_rng(0)
    inside = ball()
    image = np.where(inside, rng.normal(0, 1, inside.shape), background)
    assert background_value(image) == background
    np.testing.assert_array_equal(foreground(image), inside)


def test_foreground_without_stripping_and_with_a_hole() -> None:
    rng = np.random.default_rng(0)
    inside = ball()
    image = rng.normal(0, 5, inside.shape) + 200 * (inside & ~ball(0.3))
    assert dice(foreground(image), inside) > 0.99


@pytest.mark.parametrize("sigma", [0.2, 0.45, 0.6])
def test_air_with_many_zeros_is_no_stripped_background(sigma: float) -> None:
    """Noise rounded to whole numbers has more zeros than anything else, and is no object."""
    rng = np.random.default_rng(0)
    inside = ball()
    air = np.round(np.abs(rng.normal(0, sigma, inside.shape)))
    image = np.where(inside, rng.normal(400, 40, inside.shape), air)
    assert dice(foreground(image), inside) > 0.99


def test_nothing_larger_than_a_voxel(case_folder: Path) -> None:
    path = case_folder / "case_t1.nii.gz"
    grid = Grid.of(sitk.ReadImage(str(path)))
    speck = np.zeros(grid.shape, np.float32)
    speck[20, 20, 20] = 1
    write_volume(path, speck, grid)
    case = open_case(case_folder)
    how = dict.fromkeys(case.images, "zscore")
    with pytest.raises(InputError, match="T1: shows no object"):
        preprocess(case, ("T1", "T2"), (9.0, 9.0, 9.0), how, ProgressMonitor())


def test_specks_are_not_foreground() -> None:
    image = np.where(ball(), 1.0, 0.0)
    image[1, 1, 1] = 1.0
    assert not foreground(image)[1, 1, 1]


def test_normalisation() -> None:
    rng = np.random.default_rng(0)
    inside = ball()
    image = np.where(inside, rng.normal(400, 80, inside.shape), 0)
    normal = normalise(image, inside, "zscore")
    assert normal.dtype == np.float32
    assert abs(float(normal[inside].mean())) < 1e-4
    assert abs(float(normal[inside].std()) - 1) < 1e-4
    assert not normal[~inside].any()
    values = np.array([[[-2000.0, 0, 500, 3000]]])
    everywhere = np.ones_like(values, bool)
    np.testing.assert_allclose(normalise(values, everywhere, "ct").ravel(), [-2, 0, 1, 2])
    np.testing.assert_allclose(normalise(values, everywhere, "suv").ravel(), [0, 0, 6, 6])


def test_model_space_is_normalised_after_resampling(case_folder: Path) -> None:
    case = open_case(case_folder)
    names = tuple(case.images)
    seen = preprocess(
        case, names, (6.0, 6.0, 6.0), dict.fromkeys(names, "zscore"), ProgressMonitor()
    )
    assert seen.grid.scale == (6.0, 6.0, 6.0)
    for image in seen.images.values():
        assert image.shape == seen.grid.shape
        assert abs(float(image[seen.foreground].mean())) < 0.1
        assert abs(float(image[seen.foreground].std()) - 1) < 0.1


@pytest.mark.real
@pytest.mark.parametrize("name", ["brats_2013_pat0005_1", "brats_2013_pat0006_1"])
def test_foreground_of_real_cases_with_a_background_that_is_not_zero(
    real_data: Path, name: str
) -> None:
    folder = real_data / "BraTS2013" / name
    brain = read_labels(folder / "brainmask.nii.gz")[0] > 0
    for image in open_case(folder).images.values():
        assert background_value(image) not in (0.0, None)
        assert dice(foreground(image), brain) > 0.995

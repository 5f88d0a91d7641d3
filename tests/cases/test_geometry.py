from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from napari_ciml.cases import geometry
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.discovery import VolumeSource
from napari_ciml.cases.geometry import Grid, bounding_box_grid, lps, orientation, reorient, resample
from napari_ciml.cases.preprocessing import to_case_grid
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.cases.writing import resample_to_modality, write_on_native_grid

LPS = Grid((20, 24, 16), (1.5, 1.0, 2.0), (-12.0, 7.5, 30.0))
DIRECTIONS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1, 1]),
    "LAS": np.diag([1.0, -1, 1]),
    "permuted": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "oblique": Rotation.from_euler("xyz", [12, -7, 20], degrees=True).as_matrix(),
    "oblique RAS": Rotation.from_euler("xyz", [5, 9, -14], degrees=True).as_matrix()
    @ np.diag([-1.0, -1, 1]),
}


def named_voxels(grid: Grid) -> np.ndarray:
    """A volume whose voxels name their own position in the world."""
    z, y, x = np.indices(grid.shape)
    index = np.stack([x, y, z], axis=-1) * grid.spacing
    world = index @ np.reshape(grid.direction, (3, 3)).T + grid.origin
    return (world @ [1.0, 100.0, 10000.0]).astype(np.float64)


def turned(name: str) -> Grid:
    return Grid(LPS.size, LPS.spacing, LPS.origin, tuple(DIRECTIONS[name].ravel().tolist()))


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_round_trip_in_every_orientation(name: str, suffix: str, tmp_path) -> None:
    """To the case grid and back into a file: every voxel where it was, the geometry bit for bit."""
    native_path = tmp_path / f"reference{suffix}"
    sitk.WriteImage(turned(name).to_sitk(np.zeros(LPS.shape, np.float32)), str(native_path))
    native = Grid.of(sitk.ReadImage(str(native_path)))
    values = named_voxels(native)

    on_case = reorient(native.to_sitk(values), "LPS")
    grid = Grid.of(on_case)
    array = sitk.GetArrayFromImage(on_case)
    assert orientation(grid) == "LPS"
    np.testing.assert_allclose(array, named_voxels(grid), rtol=1e-9, atol=1e-2)

    source = VolumeSource(native_path, None, "T1", native)
    case = Case("case", {"T1": array}, grid, "T1", native, {"T1": source})
    written = tmp_path / f"result{suffix}"
    write_on_native_grid(written, array, case)
    back = sitk.ReadImage(str(written))
    if suffix == ".nrrd":
        # NRRD stores axes times voxel sizes, so reading loses the last bit of each.
        assert Grid.of(back).is_close(native)
        np.testing.assert_allclose(Grid.of(back).direction, native.direction, rtol=0, atol=1e-14)
    else:
        assert Grid.of(back) == native
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), values)


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.5), (4.0, 2.0, 3.0), (3.0, 3.0, 3.0)])
def test_model_grid_keeps_positions(spacing: tuple[float, float, float]) -> None:
    """Positions survive a crop at another voxel size: linear interpolation of a linear field."""
    grid = turned("oblique")
    mask = np.zeros(grid.shape, bool)
    mask[4:12, 5:20, 4:16] = True
    model = bounding_box_grid(mask, grid, spacing)
    values = named_voxels(grid).astype(np.float32)
    seen = resample(values, grid, model)
    inner = (slice(2, -2),) * 3
    tolerance = 0.5 if spacing == (3.0, 3.0, 3.0) else 0.05
    error = np.abs(seen - named_voxels(model))[inner]
    assert error.max() < tolerance * 100
    case = Case("case", {"T1": values}, grid, "T1", grid, {})
    back = to_case_grid(named_voxels(model).astype(np.float32), model, case)
    error = np.abs(back - named_voxels(grid))[6:10, 8:16, 7:13]
    assert error.max() < 20


def test_at_the_same_voxel_size_a_crop_is_a_crop() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(LPS.shape).astype(np.float32)
    mask = np.zeros(LPS.shape, bool)
    mask[5:10, 8:14, 6:12] = True
    model = bounding_box_grid(mask, LPS, (2.0, 1.0, 1.5))
    first = np.rint(LPS.index(np.asarray(model.origin))).astype(int)[::-1]
    where = tuple(slice(a, a + n) for a, n in zip(first, model.shape, strict=True))
    np.testing.assert_allclose(resample(values, LPS, model), values[where], atol=1e-5)
    assert mask[where].sum() == mask.sum()


def test_at_twice_the_voxel_size_eight_voxels_are_averaged() -> None:
    rng = np.random.default_rng(0)
    grid = Grid((16, 16, 16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    values = rng.standard_normal(grid.shape).astype(np.float32)
    model = bounding_box_grid(np.ones(grid.shape, bool), grid, (2.0, 2.0, 2.0))
    expected = values.reshape(8, 2, 8, 2, 8, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(resample(values, grid, model), expected, atol=1e-5)


def test_coarser_sampling_is_smoothed_first() -> None:
    """Noise sampled at a fifth of its resolution must not alias."""
    rng = np.random.default_rng(0)
    fine = Grid((60, 60, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    coarse = Grid((12, 12, 12), (5.0, 5.0, 5.0), (2.0, 2.0, 2.0))
    noise = rng.standard_normal(fine.shape).astype(np.float32)
    assert resample(noise, fine, coarse).std() < 0.2


def test_labels_stay_labels() -> None:
    labels = np.zeros(LPS.shape, np.uint16)
    labels[5:10, 8:14, 6:12] = 4
    other = Grid((30, 30, 30), (0.9, 0.9, 0.9), (-10.0, 9.0, 32.0))
    assert set(np.unique(resample(labels, LPS, other, labels=True))) == {0, 4}


def test_same_grid_up_to_a_hundredth_of_a_voxel() -> None:
    moved = Grid(LPS.size, LPS.spacing, (-12.0 + 1e-3, 7.5, 30.0))
    assert LPS.is_close(moved)
    assert not LPS.is_close(Grid(LPS.size, LPS.spacing, (-11.9, 7.5, 30.0)))
    assert not LPS.is_close(Grid(LPS.size, (1.5, 1.01, 2.0), LPS.origin))
    assert not LPS.is_close(turned("RAS"))


def test_overlap_in_the_world() -> None:
    for dx, dy in product((-29.0, 0.0, 29.0), repeat=2):
        moved = Grid(LPS.size, LPS.spacing, (-12.0 + dx, 7.5 + dy * 0.8, 30.0))
        assert LPS.overlaps(moved)
    assert not LPS.overlaps(Grid(LPS.size, LPS.spacing, (-12.0 + 31, 7.5, 30.0)))
    assert not LPS.overlaps(Grid(LPS.size, LPS.spacing, (-12.0, 7.5, 300.0)))


@pytest.mark.parametrize("seed", range(5))
def test_oblique_nifti_of_another_program_comes_back_bit_for_bit(seed: int, tmp_path) -> None:
    """Written by nibabel: what SimpleITK reads from it must be what it reads from our result."""
    nibabel = pytest.importorskip("nibabel")
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("xyz", rng.uniform(-25, 25, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.4, 3, 3)
    affine[:3, 3] = rng.uniform(-90, 90, 3)
    data = rng.standard_normal((9, 11, 7)).astype(np.float32)
    path = tmp_path / "case_t1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    case = open_case(tmp_path)
    write_on_native_grid(tmp_path / "out.nii.gz", case.images["T1"], case)
    original, back = (sitk.ReadImage(str(p)) for p in (path, tmp_path / "out.nii.gz"))
    assert Grid.of(back) == Grid.of(original)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(original))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_grid_of_reoriented_voxels_is_foretold(name: str) -> None:
    native = turned(name)
    found, expected = lps(native), Grid.of(reorient(native.to_sitk(named_voxels(native)), "LPS"))
    assert found.size == expected.size
    assert found.is_close(expected)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_results_on_the_grid_of_another_modality(name: str, tmp_path) -> None:
    """Its own orientation and voxel size, and alignment undone: voxels still name their place."""
    spacing = (1.1, 0.8, 2.5)
    other = Grid((12, 14, 8), spacing, tuple(LPS.world((6, 7, 5))), turned(name).direction)
    path = tmp_path / "case_t2.nii.gz"
    sitk.WriteImage(other.to_sitk(np.zeros(other.shape, np.float32)), str(path))
    other = Grid.of(sitk.ReadImage(str(path)))
    motion = AffineTransform.about(
        LPS.world((10, 12, 8)), DIRECTIONS["oblique"], np.array([1.0, -2.0, 0.5])
    )
    values = named_voxels(LPS).astype(np.float32)
    sources = {"T2": VolumeSource(path, None, "T2", other)}
    case = Case("case", {"T1": values}, LPS, "T1", LPS, sources, transforms={"T2": motion})
    written = tmp_path / "out.nii.gz"
    write_on_native_grid(written, resample_to_modality(values, case, "T2"), case, "T2")
    back = sitk.ReadImage(str(written))
    assert Grid.of(back) == other
    z, y, x = np.indices(other.shape)
    index = np.stack([x, y, z], axis=-1) * other.spacing
    world = index @ np.reshape(other.direction, (3, 3)).T + other.origin
    home = motion.inverse().points(world)
    seen = sitk.GetArrayFromImage(back)
    index = (home - LPS.origin) / LPS.spacing
    inside = ((index >= 0) & (index <= np.array(LPS.size) - 1)).all(axis=-1)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(seen[inside], (home @ [1.0, 100.0, 10000.0])[inside], atol=30)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_only_what_the_target_needs_is_smoothed(name: str, monkeypatch) -> None:
    """A part of a large volume, seen coarsely, is what it is if all of the volume is smoothed."""
    rng = np.random.default_rng(0)
    turn = tuple(DIRECTIONS[name].ravel().tolist())
    source = Grid((150, 140, 130), (1.0, 0.8, 1.2), (3.0, -20.0, 7.0), turn)
    values = rng.normal(-200, 400, source.shape).astype(np.float32)
    x, y, z = source.world((66.3, 60.8, 55.1)).tolist()
    target = Grid((6, 5, 7), (3.3, 2.9, 3.7), (x, y, z), turn)
    sizes = []
    whole = Grid.to_sitk

    def image(grid: Grid, array: np.ndarray) -> sitk.Image:
        sizes.append(array.size)
        return whole(grid, array)

    monkeypatch.setattr(Grid, "to_sitk", image)
    part = resample(values, source, target, fill=-1000)
    monkeypatch.setattr(geometry, "_REACH", 1e6)
    np.testing.assert_allclose(part, resample(values, source, target, fill=-1000), atol=2e-3)
    assert sizes[0] < sizes[1] / 3
    assert sizes[1] == values.size


def test_a_target_far_from_the_source_is_filled() -> None:
    far = Grid((3, 3, 3), (5.0, 5.0, 5.0), (900.0, 900.0, 900.0))
    values = np.ones(LPS.shape, np.float32)
    np.testing.assert_array_equal(resample(values, LPS, far, fill=-7), np.full((3, 3, 3), -7.0))


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("shift", [(0, 0, 0), (2, -3, 4), (-5, 1, 0), (40, 0, 0), (3.0004, 1, -2)])
def test_parts_of_a_grid_are_copied_as_they_would_be_resampled(
    monkeypatch: pytest.MonkeyPatch, shift: tuple[float, float, float], labels: bool
) -> None:
    turn = (0.9659258, -0.2588190, 0.0, 0.2588190, 0.9659258, 0.0, 0.0, 0.0, 1.0)
    source = Grid((12, 10, 14), (1.0, 1.1, 2.3), (-40.1, 30.2, 7.0), turn)
    x, y, z = source.world(shift).tolist()
    target = Grid((9, 16, 11), source.spacing, (x, y, z), turn)
    array = np.random.default_rng(0).integers(1, 9, source.shape).astype(np.uint8)
    made = resample(array, source, target, fill=5, labels=labels)
    monkeypatch.setattr(geometry, "_shift", lambda *_: None)
    expected = resample(array, source, target, fill=5, labels=labels)
    assert made.dtype == expected.dtype
    np.testing.assert_allclose(made, expected, atol=0 if shift[0] == int(shift[0]) else 5e-3)

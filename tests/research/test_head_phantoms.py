"""Gliomas in brains of label maps: dural sinuses, dura and edema of more kinds."""

from pathlib import Path

import numpy as np
import pytest

from helpers.head_label_maps import head_labels, write_head
from napari_ciml.cli.main import main
from napari_ciml.errors import InputError
from napari_ciml.research.phantoms.anatomy import Anatomy, deform
from napari_ciml.research.phantoms.edema import confine_to_hemisphere, draw_extent, fade_edema
from napari_ciml.research.phantoms.foci import Focus
from napari_ciml.research.phantoms.heads import HeadFolder, find_heads, load_head
from napari_ciml.research.phantoms.phantom import make_phantom
from napari_ciml.research.phantoms.structures import overlay_structures, structure_means
from napari_ciml.research.phantoms.tumour import Tumour

SPACING = 3.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    write_head(folder / "one.nii.gz", head_labels())
    return folder


@pytest.fixture(scope="module")
def anatomy(folder: Path) -> Anatomy:
    return load_head(folder / "one.nii.gz", SPACING)


def places(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where a structure is, in mm from the volume's middle: up, back, to the left."""
    z, y, x = ((np.argwhere(share > 0.5) - (np.array(share.shape) - 1) / 2) * SPACING).T
    return z, y, x


def test_sinuses_run_along_the_midline_and_between_cerebrum_and_cerebellum(
    anatomy: Anatomy,
) -> None:
    z, y, x = places(anatomy.structures["sinus"])
    top = z > 25
    assert top.sum() > 10
    assert np.abs(x[top]).max() < 10
    for side in (-1, 1):
        transverse = (side * x > 15) & (y > 15) & (np.abs(z + 15) < 15)
        assert transverse.sum() > 5
    # Nothing in front below, where there is no sinus.
    assert not ((y < -30) & (z < -5)).any()
    assert (anatomy.structures["sinus"] * (anatomy.ventricles > 0.5)).max() < 0.5


def test_dura_lies_between_the_hemispheres_and_on_the_skull(anatomy: Anatomy) -> None:
    dura = anatomy.structures["dura"]
    z, y, x = (int(edge / 2) for edge in dura.shape)
    assert dura[z + 5, :, x - 1 : x + 2].max() > 0.2
    assert dura[z + 5, y, x + 6] < 0.05
    brain = anatomy.brain > 0.05
    assert dura[brain].sum() < 0.15 * brain.sum()


def test_shares_sum_to_one_in_the_brain_and_stripping_differs(anatomy: Anatomy) -> None:
    volumes = []
    for seed in range(6):
        brain, points = deform(np.random.default_rng(seed), SPACING, base=anatomy)
        total = np.sum(list(overlay_structures(brain, np.ones(brain.brain.shape)).values()), axis=0)
        np.testing.assert_allclose(total[brain.brain], 1, atol=0.02)
        assert not total[~brain.brain].any()
        assert points.shape == (3, *brain.brain.shape)
        volumes.append(brain.brain.sum())
    assert max(volumes) > 1.1 * min(volumes)


def test_the_same_seed_gives_the_same_phantom_of_a_head(folder: Path) -> None:
    heads = find_heads(folder)
    one, two = (make_phantom("glioma", 3, 4.0, heads=heads) for _ in range(2))
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.images["T1CE"], two.images["T1CE"])
    plain = make_phantom("glioma", 3, 4.0)
    assert plain.labels.shape != one.labels.shape
    assert set(np.unique(one.labels)) <= {0, 1, 2, 4}
    outside = one.images["T1"] == 0
    assert not one.labels[outside].any()


def test_sinuses_are_bright_in_t1ce_and_dark_in_t2() -> None:
    means = {"white": 1.0, "grey": 0.8, "fluid": 0.3, "edema": 0.7}
    rng = np.random.default_rng(0)
    enhanced = [structure_means(rng, "T1CE", means, 1.0)["sinus"] for _ in range(200)]
    little = [structure_means(rng, "T1CE", means, 0.3)["sinus"] for _ in range(200)]
    plain = [structure_means(rng, "T1", means, 1.0)["sinus"] for _ in range(200)]
    assert np.mean(enhanced) > 1.4 > np.mean(little) > 1.0 > np.mean(plain)
    deep = [structure_means(rng, "T1", means, 1.0)["deep"] for _ in range(50)]
    assert 0.8 < min(deep) < max(deep) < 1.0


def test_edema_is_of_several_extents() -> None:
    focus = Focus("ring", np.zeros(3, np.float32), 20.0, 30.0, np.zeros(3, np.float32))
    radii = [draw_extent(np.random.default_rng(s), [focus])[0].edema for s in range(60)]
    assert min(radii) < 23
    assert 30.0 in radii
    assert max(radii) > 50


def two_sided(shape: tuple[int, int, int] = (8, 8, 40)) -> Tumour:
    labels = np.full(shape, 2, np.uint8)
    labels[3, 3, 2] = 4  # a core of the other side stays
    return Tumour(labels, np.zeros(shape, bool), np.ones(shape, np.float32))


def test_edema_stays_on_its_side_and_labels_stay_when_it_fades() -> None:
    across = np.broadcast_to(np.arange(40) - 19.5, (8, 8, 40))
    focus = Focus("ring", np.array((4, 4, 30), np.float32), 5.0, 9.0, np.zeros(3, np.float32))
    kept = confine_to_hemisphere(np.random.default_rng(0), two_sided(), [focus], across, 2.0)
    assert (kept.labels[..., 20:] == 2).all()
    assert not kept.labels[0, 0, :13].any()
    assert not kept.edema[0, 0, :13].any()
    assert kept.labels[3, 3, 2] == 4
    other = Focus("ring", np.array((4, 4, 5), np.float32), 5.0, 9.0, np.zeros(3, np.float32))
    both = confine_to_hemisphere(np.random.default_rng(0), two_sided(), [focus, other], across, 2.0)
    assert (both.labels > 0).all()
    faded = [fade_edema(np.random.default_rng(s), two_sided()) for s in range(30)]
    assert all((f.labels == two_sided().labels).all() for f in faded)
    strengths = {float(f.edema.max()) for f in faded}
    assert 1.0 in strengths
    assert min(strengths) < 0.5


def test_every_file_that_is_no_head_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no label maps"):
        find_heads(tmp_path)
    write_head(tmp_path / "good.nii.gz", head_labels())
    assert isinstance(find_heads(tmp_path), HeadFolder)
    write_head(tmp_path / "empty.nii.gz", np.zeros((20, 20, 20), np.int16))
    write_head(tmp_path / "coarse.nii.gz", head_labels()[::2, ::2, ::2], 2.0)
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken.nii.gz, coarse.nii.gz, empty.nii.gz"):
        find_heads(tmp_path)


def test_the_command_takes_a_folder_of_heads(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "phantoms"
    assert main(["phantom", "-o", str(out), "--spacing", "5", "--anatomies", str(folder)]) == 0
    assert "anatomies: 1" in (out / "dataset.yaml").read_text()
    assert (out / "glioma_0000" / "glioma_0000_seg.nii.gz").is_file()
    assert main(["phantom", "-o", str(out), "--kind", "petct", "--anatomies", str(folder)]) != 0

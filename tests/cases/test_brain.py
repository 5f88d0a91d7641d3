"""The brain is found in made-up heads: a phantom brain in fluid, skull, scalp, with eyes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_ciml.cases.brain import brain_mask, shows_skull, unstripped, without_skull
from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.intensity import foreground
from napari_ciml.errors import InputError
from napari_ciml.experiments.phantoms.phantom import Phantom, make_phantom
from napari_ciml.measures import dice
from napari_ciml.monitor import Monitor

CONTRASTS = {
    "T1": {"fluid": 0.25, "skull": 0.08, "scalp": 1.3, "eye": 0.3},
    "T1CE": {"fluid": 0.25, "skull": 0.1, "scalp": 1.3, "eye": 0.3},
    "T2": {"fluid": 1.8, "skull": 0.1, "scalp": 0.7, "eye": 1.8},
    "FLAIR": {"fluid": 0.2, "skull": 0.1, "scalp": 0.9, "eye": 0.2},
}
"""As shares of the brain's median."""

PAD = 10
MM = 3.0


def head_of(phantom: Phantom, name: str, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of a head and where its brain is."""
    rng = np.random.default_rng(1)
    image = np.pad(phantom.images[name], PAD)
    brain = foreground(image)
    far = distance_transform_edt(~brain) * MM
    look, middle = CONTRASTS[name], float(np.median(image[brain]))
    layers = [(24.0, "scalp"), (16.0, "skull"), (4.0, "fluid")]
    head = np.zeros(image.shape, np.float32)
    for reach, part in layers:
        head[far <= reach] = look[part] * middle
    z, y, x = np.indices(image.shape)
    where = np.argwhere(brain)
    low, front, (_, _, centre) = where[:, 0].min(), where[:, 1].min(), where.mean(axis=0)
    z_mm, y_mm, x_mm = (n * MM for n in (z - low - 9, y - front, x - centre))
    for side in (-32, 32):
        eye = z_mm**2 + (y_mm + 14) ** 2 + (x_mm - side) ** 2 < 12.0**2
        head[eye & ~brain] = look["eye"] * middle
        # The optic nerve goes through the skull.
        nerve = (z_mm**2 + (x_mm - side) ** 2 < 3.0**2) & (far < 22) & (y_mm < 24)
        head[nerve & ~brain] = 0.9 * middle
    head = np.where(brain, image, head)
    slope = 1 + 0.15 * (y / y.max() - 0.5)
    blurred = gaussian_filter(head * slope, 0.4).astype(np.float32)
    noisy = np.hypot(
        blurred + rng.normal(0, noise * middle, head.shape),
        rng.normal(0, noise * middle, head.shape),
    )
    return noisy.astype(np.float32), brain


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom("glioma", 5, MM)


def as_case(images: dict[str, np.ndarray]) -> Case:
    shape = next(iter(images.values())).shape
    grid = Grid(shape[::-1], (MM,) * 3, (0.0, 0.0, 0.0))
    return Case("case", images, grid, next(iter(images)), grid, {})


@pytest.mark.parametrize("name", CONTRASTS)
def test_the_brain_is_found_in_a_head(phantom: Phantom, name: str) -> None:
    image, brain = head_of(phantom, name, 0.03)
    assert shows_skull(image, (MM,) * 3)
    assert dice(brain_mask(image, (MM,) * 3), brain) > 0.93


def test_modalities_vote_and_everything_else_is_removed(phantom: Phantom) -> None:
    made = {name: head_of(phantom, name, 0.03) for name in CONTRASTS}
    case = as_case({name: image for name, (image, _) in made.items()})
    brain = made["T1"][1]
    stripped = without_skull(case, Monitor())
    assert unstripped(case) == tuple(CONTRASTS)
    assert unstripped(stripped) == ()
    mask = stripped.images["T1"] > 0
    assert dice(mask, brain) > 0.94
    np.testing.assert_array_equal(stripped.images["T2"][mask], case.images["T2"][mask])
    assert "brain mask" in stripped.notices[-1]
    assert without_skull(stripped, Monitor()) is stripped


def test_air_that_was_set_to_zero_hides_no_skull(phantom: Phantom) -> None:
    image, brain = head_of(phantom, "T1", 0.0)
    assert shows_skull(np.round(image, 0), (MM,) * 3)
    assert dice(brain_mask(np.round(image, 0), (MM,) * 3), brain) > 0.93


@pytest.mark.parametrize("seed", range(3))
def test_stripped_images_are_left_alone(seed: int) -> None:
    phantom = make_phantom("glioma", seed, MM)
    case = as_case(phantom.images)
    assert unstripped(case) == ()
    assert without_skull(case, Monitor()) is case


def test_pet_and_ct_are_not_asked(phantom: Phantom) -> None:
    image, _ = head_of(phantom, "T1", 0.03)
    assert unstripped(as_case({"PET": image, "CT": image})) == ()


def test_no_brain_is_said() -> None:
    rng = np.random.default_rng(0)
    z, y, x = np.indices((90, 90, 90)) - 45
    ball = np.where(z**2 + y**2 + x**2 < 40**2, 100, 0) + rng.normal(0, 2, (90, 90, 90))
    case = replace(as_case({"T1": ball.astype(np.float32)}))
    with pytest.raises(InputError, match="could not be told"):
        without_skull(case, Monitor())


def test_a_stripped_image_of_fine_voxels_and_thick_slices_is_left_alone(phantom: Phantom) -> None:
    image = np.pad(phantom.images["T1"], PAD).repeat(4, axis=1).repeat(4, axis=2)
    assert not shows_skull(image, (MM, MM / 4, MM / 4))

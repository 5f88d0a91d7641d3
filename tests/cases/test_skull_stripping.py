"""The brain is found in made-up heads: a phantom brain in fluid, skull, scalp, with eyes."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.heads import CONTRASTS, MM, PAD, head_of
from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.cases.skull_stripping import (
    brain_mask,
    brain_notice,
    modalities_with_skull,
    shows_skull,
    skull_strip,
    with_brain_mask,
)
from napari_ciml.errors import InputError
from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom


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


def test_modalities_vote_and_a_network_is_shown_the_brain_alone(phantom: Phantom) -> None:
    made = {name: head_of(phantom, name, 0.03) for name in CONTRASTS}
    case = as_case({name: image for name, (image, _) in made.items()})
    found = skull_strip(case, ProgressMonitor())
    assert modalities_with_skull(case) == tuple(CONTRASTS)
    assert modalities_with_skull(found) == ()
    mask = found.brain
    assert mask is not None
    assert dice(mask, made["T1"][1]) > 0.94
    assert found.images is case.images
    np.testing.assert_array_equal(found.network_view("T2")[mask], case.images["T2"][mask])
    assert not found.network_view("T2")[~mask].any()
    assert case.network_view("T2") is case.images["T2"]
    assert found.notices == (brain_notice(found),)
    assert skull_strip(found, ProgressMonitor()) is found
    assert with_brain_mask(found, None).notices == case.notices == ()
    names = tuple(CONTRASTS)
    how = dict.fromkeys(names, "zscore")
    seen = preprocess(found, names, (4.0,) * 3, how, ProgressMonitor())
    brain = resample(mask.astype(np.float32), case.grid, seen.grid) > 0.5
    assert dice(seen.foreground, brain) > 0.98
    whole = preprocess(case, names, (4.0,) * 3, how, ProgressMonitor())
    assert whole.foreground.sum() > 1.5 * seen.foreground.sum()


def test_air_that_was_set_to_zero_hides_no_skull(phantom: Phantom) -> None:
    image, brain = head_of(phantom, "T1", 0.0)
    assert shows_skull(np.round(image, 0), (MM,) * 3)
    assert dice(brain_mask(np.round(image, 0), (MM,) * 3), brain) > 0.93


@pytest.mark.parametrize("seed", range(3))
def test_stripped_images_are_left_alone(seed: int) -> None:
    phantom = make_phantom("glioma", seed, MM)
    case = as_case(phantom.images)
    assert modalities_with_skull(case) == ()
    assert skull_strip(case, ProgressMonitor()) is case


def test_pet_and_ct_are_not_asked(phantom: Phantom) -> None:
    image, _ = head_of(phantom, "T1", 0.03)
    assert modalities_with_skull(as_case({"PET": image, "CT": image})) == ()


def test_no_brain_is_said() -> None:
    rng = np.random.default_rng(0)
    z, y, x = np.indices((90, 90, 90)) - 45
    ball = np.where(z**2 + y**2 + x**2 < 40**2, 100, 0) + rng.normal(0, 2, (90, 90, 90))
    case = replace(as_case({"T1": ball.astype(np.float32)}))
    with pytest.raises(InputError, match="could not be separated"):
        skull_strip(case, ProgressMonitor())


def test_a_stripped_image_of_fine_voxels_and_thick_slices_is_left_alone(phantom: Phantom) -> None:
    image = np.pad(phantom.images["T1"], PAD).repeat(4, axis=1).repeat(4, axis=2)
    assert not shows_skull(image, (MM, MM / 4, MM / 4))

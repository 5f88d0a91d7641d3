import numpy as np
import pytest
import torch

from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import Patches
from napari_ciml.training.settings import TrainSettings
from napari_ciml.training.transplantation import healthy_statistics, transplant

Voxel = tuple[int, int, int]
WHOLE = (48, 48, 48)


def head(
    seed: int, lesion: tuple[int, int, int] | None, gain: float, offset: float
) -> TrainingCase:
    """Return a noisy ball of brain in nothing, with a brighter ball in it around a voxel."""
    rng = np.random.default_rng(seed)
    points = np.indices((48, 48, 48)).reshape(3, -1).T.reshape(48, 48, 48, 3)
    brain = ((points - 23.5) ** 2).sum(-1) < 22**2
    ill = np.zeros_like(brain)
    if lesion is not None:
        ill = ((points - np.array(lesion)) ** 2).sum(-1) < 5**2
    image = (rng.normal(0, 0.2, brain.shape) + 3 * ill) * gain + offset
    images = np.stack([image, -image]) * brain
    return TrainingCase.from_arrays(
        images.astype(np.float16), np.stack([ill, ill & (rng.random(ill.shape) < 0.5)])
    )


DONOR = head(0, (24, 24, 13), gain=2.0, offset=5.0)
HEALTHY = head(1, None, gain=1.0, offset=-1.0)


def test_the_lesion_arrives_in_one_of_two_corresponding_places_with_matched_intensities() -> None:
    sides = set()
    for seed in range(12):
        patch = transplant(DONOR, HEALTHY, WHOLE, np.random.default_rng(seed))
        lesion = patch.regions[0]
        z, y, x = np.argwhere(lesion).mean(axis=0)
        assert abs(z - 24) < 8
        assert abs(y - 24) < 8
        sides.add(bool(x > 24))
        assert min(abs(x - 13), abs(x - 34)) < 8
        assert (patch.regions[1] <= lesion).all()
        # Three deviations of fifteen noises above healthy tissue, in the recipient's units.
        assert patch.images[0][lesion].mean() == pytest.approx(2, abs=0.5)
        untouched = ~lesion & (patch.images[0] != 0)
        assert patch.images[0][untouched].mean() == pytest.approx(-1, abs=0.2)
    assert sides == {True, False}


def test_nothing_is_put_outside_the_brain_or_into_a_modality_that_shows_nothing() -> None:
    images = HEALTHY.images.copy()
    images[1] = 0
    silent = TrainingCase.from_arrays(images, HEALTHY.regions)
    for seed in range(5):
        patch = transplant(DONOR, silent, WHOLE, np.random.default_rng(seed))
        outside = images[0] == 0
        assert not patch.images[:, outside].any()
        assert not patch.regions[:, outside].any()
        assert not patch.images[1].any()


def test_the_recipients_own_lesion_stays() -> None:
    ill = head(2, (24, 24, 34), gain=1.0, offset=-1.0)
    donor = head(3, (12, 24, 24), gain=1.0, offset=-1.0)
    patch = transplant(donor, ill, WHOLE, np.random.default_rng(1))
    own = ill.regions[0] & (np.indices(WHOLE)[0] > 22)
    assert (patch.regions[0] & own).sum() > 0.95 * own.sum()
    assert patch.regions[0].sum() > 1.3 * own.sum()
    assert patch.regions[0].shape == WHOLE


def test_statistics_are_those_of_healthy_tissue() -> None:
    means, deviations = healthy_statistics(DONOR)
    np.testing.assert_allclose(means, (5, -5), atol=0.05)
    np.testing.assert_allclose(deviations, (0.4, 0.4), atol=0.05)
    nothing = TrainingCase.from_arrays(
        np.zeros((2, 8, 8, 8), np.float16), np.zeros((1, 8, 8, 8), bool)
    )
    np.testing.assert_array_equal(healthy_statistics(nothing), ((0, 0), (1, 1)))


def test_patches_of_a_run_get_lesions_as_often_as_asked(settings: TrainSettings) -> None:
    cases = [DONOR, HEALTHY, HEALTHY, HEALTHY]
    plain = settings.model_copy(update={"foreground_share": 0.0})
    always = plain.model_copy(update={"transplantation": 1.0})
    ill = [
        sum(bool(Patches(cases, chosen)[k]["regions"].any()) for k in range(24))
        for chosen in (plain, always)
    ]
    assert ill[1] > ill[0]
    again = Patches(cases, always)[3]
    assert torch.equal(again["image"], Patches(cases, always)[3]["image"])
    assert again["image"].dtype == torch.float32
    assert again["image"].shape[1:] == plain.patch

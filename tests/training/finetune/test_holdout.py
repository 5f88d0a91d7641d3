"""What of corrected cases judges versions: whole cases, or slabs that teach nothing."""

from dataclasses import replace

import numpy as np
import pytest

from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.holdout import find_slab, hold_out


def marked(*regions: np.ndarray) -> TrainingCase:
    return TrainingCase.from_arrays(np.zeros((1, *regions[0].shape), np.float16), np.stack(regions))


def box(*where: tuple[int, int]) -> np.ndarray:
    made = np.zeros((40, 40, 40), bool)
    made[tuple(slice(*ends) for ends in where)] = True
    return made


def test_whole_cases_if_the_share_makes_one() -> None:
    cases = [TrainingCase(np.full(1, k), np.zeros((1, 4, 4, 4), bool), ()) for k in range(5)]
    for share, count in ((0.2, 1), (0.4, 2), (0.59, 2), (0.9, 4)):
        split = hold_out(cases, share, seed=0)
        assert len(split.validation) == count
        assert sorted(int(c.images[0]) for c in (*split.train, *split.validation)) == list(range(5))
        assert split.held_out
    assert split.description == "4 held-out cases"


def test_a_slab_of_one_case_judges_and_teaches_nothing() -> None:
    case = marked(box((5, 35), (10, 30), (10, 30)))
    split = hold_out([case], 0.2, seed=0)
    (learnt,), (judged,) = split.train, split.validation
    assert not (learnt.label_confidence_mask & judged.label_confidence_mask).any()
    assert (learnt.label_confidence_mask | judged.label_confidence_mask).all()
    # A box is marked evenly: a fifth of its length, across any axis, is a fifth of it.
    assert (case.regions[0] & judged.label_confidence_mask).sum() == pytest.approx(
        0.2 * 30 * 20 * 20
    )
    assert learnt.label_confidence_mask[tuple(learnt.foreground_voxels[0].T)].all()
    assert len(learnt.foreground_voxels[0]) == 0.8 * 30 * 20 * 20
    assert split.description == "a held-out slab of 1 case"


def test_every_region_is_on_either_side() -> None:
    # The inner region lies in one end: only a slab across its own length leaves some of it.
    outer, inner = box((0, 40), (0, 40), (0, 40)), box((0, 8), (0, 40), (0, 40))
    slab = find_slab(marked(outer, inner), 0.2)
    for region in (outer, inner):
        assert (region & slab).sum() == pytest.approx(0.2 * region.sum())


def test_a_region_that_the_case_lacks_does_not_matter() -> None:
    full, nothing = box((5, 35), (10, 30), (10, 30)), np.zeros((40, 40, 40), bool)
    assert find_slab(marked(full, nothing), 0.2) is not None
    assert find_slab(marked(nothing), 0.2) is None


def test_what_is_not_certain_is_neither_learnt_nor_judged() -> None:
    certain = box((0, 40), (0, 40), (0, 20))
    case = replace(marked(box((5, 35), (10, 30), (10, 30))), label_confidence_mask=certain)
    split = hold_out([case], 0.2, seed=0)
    together = split.train[0].label_confidence_mask | split.validation[0].label_confidence_mask
    np.testing.assert_array_equal(together, certain)
    assert (case.regions[0] & split.validation[0].label_confidence_mask).any()


def test_a_speck_is_learnt_whole_and_judged_on_itself() -> None:
    case = marked(box((5, 8), (5, 8), (5, 8)))
    split = hold_out([case], 0.2, seed=0)
    assert split.train == split.validation == [case]
    assert not split.held_out
    larger = marked(box((5, 35), (10, 30), (10, 30)))
    both = hold_out([case, larger], 0.2, seed=0)
    assert both.train[0] is case
    assert len(both.validation) == 1
    assert not hold_out([larger], 0.0, seed=0).held_out

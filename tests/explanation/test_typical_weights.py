"""What is unusual of a case's weights."""

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.typical_weights import comparable_statistics, flag_atypical_weights
from napari_ciml.network.checkpoint_info import WeightStatistics

WT, ET = Pair("T2", "WT"), Pair("T1CE", "ET")
MEASURED = (
    WeightStatistics(primary="T2", region="WT", auxiliary="FLAIR", mean=0.6, sd=0.1, cases=19),
    WeightStatistics(primary="T2", region="WT", auxiliary="T1", mean=0.4, sd=0.1, cases=19),
    WeightStatistics(primary="T1CE", region="ET", auxiliary="T1", mean=0.7, sd=0.05, cases=18),
    WeightStatistics(primary="T1CE", region="ET", auxiliary="T2", mean=0.3, sd=0.05, cases=18),
)


def test_two_deviations_are_far_and_the_farthest_comes_first() -> None:
    weights = {(WT, "FLAIR"): 0.79, (WT, "T1"): 0.19, (ET, "T1"): 0.39, (ET, "T2"): 0.6}
    found = flag_atypical_weights(weights, MEASURED)
    assert list(found) == [(ET, "T1"), (ET, "T2"), (WT, "T1")]
    assert found[WT, "T1"] == ("weight of T1 for WT in T2: 0.19, typically 0.40 ± 0.10 (19 cases).")


def test_what_was_never_measured_or_is_not_known_is_not_unusual() -> None:
    assert (
        flag_atypical_weights({(WT, "FLAIR"): float("nan"), (WT, "T1"): float("nan")}, MEASURED)
        == {}
    )
    assert flag_atypical_weights({(Pair("T1", "TC"), "T2"): 1.0}, MEASURED) == {}
    assert flag_atypical_weights({(WT, "FLAIR"): 1.0}, ()) == {}


def test_a_pair_that_hears_fewer_is_not_held_against_those_that_hear_all() -> None:
    weights = {(WT, "FLAIR"): 1.0, (ET, "T1"): 0.7, (ET, "T2"): 0.3}
    assert set(comparable_statistics(weights, MEASURED)) == {(ET, "T1"), (ET, "T2")}
    assert flag_atypical_weights(weights, MEASURED) == {}

"""Which weights of a case are unusual, beside the cases that its checkpoint was measured on."""

from collections.abc import Mapping, Sequence

from napari_ciml.decomposition.model import Pair
from napari_ciml.network.checkpoint_info import WeightStatistics

FAR = 2.0
"""Standard deviations from the mean from which on a weight is unusual."""

Key = tuple[Pair, str]


def comparable_statistics(
    weights: Mapping[Key, float], measured: Sequence[WeightStatistics]
) -> dict[Key, WeightStatistics]:
    """Return what is usual of weights, where that can be said.

    The weights of a pair sum to 1: without one of its auxiliaries those of the others mean
    something else, and nothing is usual of them.

    Parameters
    ----------
    weights : mapping of (Pair, str) to float
        Of a case (eq. 16).
    measured : sequence of UsualWeight
        What its checkpoint says.
    """
    usual = {(Pair(one.primary, one.region), one.auxiliary): one for one in measured}
    heard, known = _heard(weights), _heard(usual)
    return {key: usual[key] for key in weights if heard[key[0]] == known.get(key[0])}


def flag_atypical_weights(
    weights: Mapping[Key, float], measured: Sequence[WeightStatistics]
) -> dict[Key, str]:
    """Say of every unusual weight what it is and what it usually is; the farthest first."""
    usual = comparable_statistics(weights, measured)
    far = {
        key: abs(weights[key] - one.mean) / max(one.sd, 1e-6)
        for key, one in usual.items()
        if abs(weights[key] - one.mean) > FAR * one.sd
    }
    return {
        key: _sentence(key, weights[key], usual[key])
        for key in sorted(far, key=far.__getitem__, reverse=True)
    }


def _sentence(key: Key, weight: float, usual: WeightStatistics) -> str:
    pair, auxiliary = key
    more = "more" if weight > usual.mean else "less"
    return (
        f"{auxiliary} added {more} than usual to {pair.region} in {pair.primary}: {weight:.2f}, "
        f"usually {usual.mean:.2f} ± {usual.sd:.2f} ({usual.cases} cases)."
    )


def _heard(keys: Mapping[Key, object]) -> dict[Pair, set[str]]:
    found: dict[Pair, set[str]] = {}
    for pair, auxiliary in keys:
        found.setdefault(pair, set()).add(auxiliary)
    return found

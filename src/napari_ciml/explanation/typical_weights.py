"""Compare the weights of a case with those of the cases its checkpoint was evaluated on."""

from collections.abc import Mapping, Sequence

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Triple
from napari_ciml.network.checkpoint_info import WeightStatistics

FAR = 2.0
"""Distance from the mean, in standard deviations, from which a weight is atypical."""


def comparable_statistics(
    weights: Mapping[Triple, float], measured: Sequence[WeightStatistics]
) -> dict[Triple, WeightStatistics]:
    """Return the statistics of weights that can be compared.

    The weights of a pair sum to 1, so they can be compared only if the pair received messages from
    the same auxiliaries.

    Parameters
    ----------
    weights : mapping of (Pair, str) to float
        Weights of a case (eq. 16).
    measured : sequence of WeightStatistics
        Statistics of its checkpoint.
    """
    statistics = {(Pair(one.primary, one.region), one.auxiliary): one for one in measured}
    auxiliaries, measured_auxiliaries = _auxiliaries(weights), _auxiliaries(statistics)
    return {
        key: statistics[key]
        for key in weights
        if auxiliaries[key[0]] == measured_auxiliaries.get(key[0])
    }


def flag_atypical_weights(
    weights: Mapping[Triple, float], measured: Sequence[WeightStatistics]
) -> dict[Triple, str]:
    """Return a sentence on each atypical weight, the most atypical first.

    Parameters
    ----------
    weights, measured
        As in `comparable_statistics`.
    """
    statistics = comparable_statistics(weights, measured)
    distances = {
        key: abs(weights[key] - one.mean) / max(one.sd, 1e-6)
        for key, one in statistics.items()
        if abs(weights[key] - one.mean) > FAR * one.sd
    }
    return {
        key: _sentence(key, weights[key], statistics[key])
        for key in sorted(distances, key=distances.__getitem__, reverse=True)
    }


def _sentence(key: Triple, weight: float, typical: WeightStatistics) -> str:
    pair, auxiliary = key
    return (
        f"weight of {auxiliary} for {pair.region} in {pair.primary}: {weight:.2f}, "
        f"typically {typical.mean:.2f} ± {typical.sd:.2f} ({typical.cases} cases)."
    )


def _auxiliaries(keys: Mapping[Triple, object]) -> dict[Pair, set[str]]:
    auxiliaries: dict[Pair, set[str]] = {}
    for pair, auxiliary in keys:
        auxiliaries.setdefault(pair, set()).add(auxiliary)
    return auxiliaries

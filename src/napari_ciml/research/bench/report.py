"""Figures of the benchmark, computed from the results of the contenders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_ciml.cases.labels import region_masks
from napari_ciml.decomposition.model import Region
from napari_ciml.metrics import dice
from napari_ciml.research.bench.config import BenchConfig

KEYS = (
    "speedup_monai_warm",
    "speedup_monai_cold",
    "speedup_nnunet",
    "dice_vs_monai",
    "peak_share_network",
    "maps_over_segment",
    "whatif_over_segment",
    "event_loop_p99_ms",
    "peak_memory_mib",
)
"""Figures that are always in the JSON; null if not measured."""


@dataclass(frozen=True)
class BenchResults:
    """Results of a run.

    Parameters
    ----------
    config : BenchConfig
        Configuration of the run; its folder is deleted.
    machine : mapping
        Processor, cores, load before the run.
    results : mapping of str to mapping
        Result by contender.
    missing : mapping of str to str
        Reason why a contender was not measured, by contender.
    dice : mapping of str to mapping
        Dice of a contender's label map with ours, by contender and region.
    """

    config: BenchConfig
    machine: Mapping[str, object]
    results: Mapping[str, Mapping[str, Any]]
    missing: Mapping[str, str]
    dice: Mapping[str, Mapping[str, float]]


def ratio(above: float | None, below: float | None, digits: int = 4) -> float | None:
    """Return a ratio; None if one of the values was not measured."""
    if above is None or not below:
        return None
    return round(above / below, digits)


def dice_by_region(a: np.ndarray, b: np.ndarray, regions: Sequence[Region]) -> dict[str, float]:
    """Return the Dice of two label maps, (Z, Y, X), by region."""
    left, right = region_masks(a, regions), region_masks(b, regions)
    return {name: round(dice(left[name], right[name]), 5) for name in left}


def figures(results: BenchResults) -> dict[str, float | None]:
    """Compute the figures of `KEYS`."""
    monai, nnunet = _total(results, "monai 0.5"), _total(results, "nnunet mirrored")
    warm, cold = _total(results, "warm"), _total(results, "cold")
    segment = _of(results, "warm", "seconds", "segment")
    peaks = [_of(results, name, "peak_memory_mib") for name in ("cold", "warm")]
    agreement = results.dice.get("monai 0.5")
    return {
        "speedup_monai_warm": ratio(monai, warm, 2),
        "speedup_monai_cold": ratio(monai, cold, 2),
        "speedup_nnunet": ratio(nnunet, warm, 2),
        "dice_vs_monai": min(agreement.values()) if agreement else None,
        "peak_share_network": peak_share(results),
        "maps_over_segment": ratio(_of(results, "warm", "maps", "seconds"), segment),
        "whatif_over_segment": ratio(_of(results, "warm", "whatif", "seconds"), segment),
        "event_loop_p99_ms": _of(results, "window", "p99_ms"),
        "peak_memory_mib": max((peak for peak in peaks if peak is not None), default=None),
    }


def peak_share(
    results: BenchResults, precision: str | None = None, contender: str = "warm"
) -> float | None:
    """Return the fraction of a precision's matrix peak that the network reaches.

    The rate is the operations of one pass over the foreground, without those of overlapping tiles,
    divided by the time of the second run in a process: in the first one the engine still warms up.

    Parameters
    ----------
    results : BenchResults
        Results of the run.
    precision : str, optional
        By default the precision the network ran in.
    contender : str
        Contender to rate.
    """
    precision = precision or _of(results, contender, "precision")
    seconds = _of(results, contender, "again", "stages", "network")
    rate = ratio(_of(results, contender, "network_gflop"), seconds)
    return ratio(rate, _of(results, "prepare", "matrix_peak_gflops", str(precision)))


def as_json(results: BenchResults) -> dict[str, object]:
    """Return all results, the figures of `KEYS` first."""
    config = results.config
    return {
        **figures(results),
        "speedup_nnunet_without_mirroring": ratio(
            _total(results, "nnunet"), _total(results, "warm"), 2
        ),
        "speedup_monai_quarter_overlap": ratio(
            _total(results, "monai 0.25"), _total(results, "warm"), 2
        ),
        "speedup_gradcam": ratio(
            _of(results, "gradcam", "seconds"), _of(results, "warm", "maps", "seconds"), 2
        ),
        "speedup_monai_torch": ratio(_total(results, "monai 0.5"), _total(results, "torch"), 2),
        "precision": _of(results, "warm", "precision"),
        "engine": _of(results, "warm", "engine"),
        "peak_share_torch": peak_share(results, contender="torch"),
        "kept_mib": _of(results, "warm", "kept_mib"),
        "peak_share_of_bfloat16": peak_share(results, "bfloat16"),
        "peak_share_of_float32": peak_share(results, "float32"),
        "quick": config.quick,
        "base_filters": config.base_filters,
        "shape": list(config.extent.shape),
        "machine": dict(results.machine),
        "dice_by_region": {name: dict(values) for name, values in results.dice.items()},
        "contenders": {name: dict(result) for name, result in results.results.items()},
        "not_measured": dict(results.missing),
    }


def _total(results: BenchResults, contender: str) -> float | None:
    return _of(results, contender, "seconds", "total")


def _of(results: BenchResults, contender: str, *keys: str) -> Any:
    """Return a nested value of a contender's result; None if any key is missing."""
    value: Any = results.results.get(contender)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

"""From what every contender measured to the figures that are asked for."""

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
    """What a run found.

    Parameters
    ----------
    setup : Setup
        Of the run; its folder is gone.
    machine : dict
        Processor, cores, load before the run.
    results : dict of str to dict
        By contender, what it measured.
    missing : dict of str to str
        By contender, why it was not measured.
    dice : dict of str to dict
        By contender and region, agreement of its label map with ours.
    """

    setup: BenchConfig
    machine: Mapping[str, object]
    results: Mapping[str, Mapping[str, Any]]
    missing: Mapping[str, str]
    dice: Mapping[str, Mapping[str, float]]


def ratio(above: float | None, below: float | None, digits: int = 4) -> float | None:
    """Divide, unless one of them was not measured."""
    if above is None or not below:
        return None
    return round(above / below, digits)


def dice_by_region(a: np.ndarray, b: np.ndarray, regions: Sequence[Region]) -> dict[str, float]:
    """Return the Dice of two label maps, (Z, Y, X), by region."""
    left, right = region_masks(a, regions), region_masks(b, regions)
    return {name: round(dice(left[name], right[name]), 5) for name in left}


def figures(found: BenchResults) -> dict[str, float | None]:
    """Compute the figures of `KEYS`."""
    monai, nnunet = _total(found, "monai 0.5"), _total(found, "nnunet mirrored")
    warm, cold = _total(found, "warm"), _total(found, "cold")
    segment = _of(found, "warm", "seconds", "segment")
    peaks = [_of(found, name, "peak_memory_mib") for name in ("cold", "warm")]
    agreement = found.dice.get("monai 0.5")
    return {
        "speedup_monai_warm": ratio(monai, warm, 2),
        "speedup_monai_cold": ratio(monai, cold, 2),
        "speedup_nnunet": ratio(nnunet, warm, 2),
        "dice_vs_monai": min(agreement.values()) if agreement else None,
        "peak_share_network": peak_share(found),
        "maps_over_segment": ratio(_of(found, "warm", "maps", "seconds"), segment),
        "whatif_over_segment": ratio(_of(found, "warm", "whatif", "seconds"), segment),
        "event_loop_p99_ms": _of(found, "window", "p99_ms"),
        "peak_memory_mib": max((peak for peak in peaks if peak is not None), default=None),
    }


def peak_share(
    found: BenchResults, precision: str | None = None, contender: str = "warm"
) -> float | None:
    """Return what share of a precision's matrix peak the network part reaches.

    Only the operations of one pass over the foreground count, whatever tiles were computed twice,
    by the seconds of the second run in a process: in the first one an engine still prepares.

    Parameters
    ----------
    found : Findings
        Of the run.
    precision : str, optional
        By default the one the network ran in.
    contender : str
        Whose.
    """
    precision = precision or _of(found, contender, "precision")
    seconds = _of(found, contender, "again", "stages", "network")
    rate = ratio(_of(found, contender, "network_gflop"), seconds)
    return ratio(rate, _of(found, "prepare", "matrix_peak_gflops", str(precision)))


def as_json(found: BenchResults) -> dict[str, object]:
    """Return everything, the figures of `KEYS` first."""
    setup = found.setup
    return {
        **figures(found),
        "speedup_nnunet_without_mirroring": ratio(
            _total(found, "nnunet"), _total(found, "warm"), 2
        ),
        "speedup_monai_quarter_overlap": ratio(
            _total(found, "monai 0.25"), _total(found, "warm"), 2
        ),
        "speedup_gradcam": ratio(
            _of(found, "gradcam", "seconds"), _of(found, "warm", "maps", "seconds"), 2
        ),
        "speedup_monai_torch": ratio(_total(found, "monai 0.5"), _total(found, "torch"), 2),
        "precision": _of(found, "warm", "precision"),
        "engine": _of(found, "warm", "engine"),
        "peak_share_torch": peak_share(found, contender="torch"),
        "kept_mib": _of(found, "warm", "kept_mib"),
        "peak_share_of_bfloat16": peak_share(found, "bfloat16"),
        "peak_share_of_float32": peak_share(found, "float32"),
        "quick": setup.quick,
        "base_filters": setup.base_filters,
        "shape": list(setup.extent.shape),
        "machine": dict(found.machine),
        "dice_by_region": {name: dict(values) for name, values in found.dice.items()},
        "contenders": {name: dict(result) for name, result in found.results.items()},
        "not_measured": dict(found.missing),
    }


def _total(found: BenchResults, contender: str) -> float | None:
    return _of(found, contender, "seconds", "total")


def _of(found: BenchResults, contender: str, *keys: str) -> Any:
    """Return a value deep in a contender's result; None if any step to it is missing."""
    value: Any = found.results.get(contender)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

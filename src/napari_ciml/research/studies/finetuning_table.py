"""Tables of the study ``finetuning``."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from napari_ciml.research.phantoms.protocols import MEANS, PROTOCOLS, STANDARD
from napari_ciml.research.studies.finetuning import OTHERS, REPLAY, STANDARD_ROLE, TRAINED


def finetuning_rows(table: pd.DataFrame, trials: Mapping[str, Any]) -> list[list[str]]:
    """Return a header and a row for each trial.

    Parameters
    ----------
    table : pandas.DataFrame
        Table written by `measure_finetuning`.
    trials : mapping of str to dict
        Steps and interpolation of each trial, by protocol and number of the training case.
    """
    regions = list(dict.fromkeys(table.region))
    unchanged = [role for role in (REPLAY, STANDARD_ROLE) if role in set(table.role)]
    head = ["trained on", "steps", "interpolation", "others before", "after", "difference"]
    rows = [[*head, *regions, *unchanged, "itself before", "after"]]
    for (protocol, trained), group in table.groupby(["protocol", "trained"], sort=False):
        before, after = _means(group, OTHERS)
        trial = trials[f"{protocol}-{trained}"]
        own_before, own_after = _means(group, TRAINED)
        rows.append(
            [
                f"{protocol} {trained + 1}",
                str(trial["steps"]),
                f"{trial['interpolation']:g}",
                f"{before.mean():.3f}",
                f"{after.mean():.3f}",
                f"**{after.mean() - before.mean():+.3f}**",
                *(f"{after[region] - before[region]:+.3f}" for region in regions),
                *(f"{_gain(group, role):+.3f}" for role in unchanged),
                f"{own_before.mean():.3f}",
                f"{own_after.mean():.3f}",
            ]
        )
    return rows


def protocol_rows(names: Iterable[str]) -> list[list[str]]:
    """Return a header, the mean signals of the standard protocol, and those that others change.

    Parameters
    ----------
    names : iterable of str
        Names in `PROTOCOLS`.
    """
    tissues = list(MEANS["T1"])
    rows = [["protocol", "modality", *tissues, "description"]]
    for name in (STANDARD, *names):
        protocol = PROTOCOLS[name]
        signals = protocol.signals or {m: m for m in ("FLAIR", "T1", "T2") if name == STANDARD}
        for modality, signal in signals.items():
            means = [f"{MEANS[signal][tissue][0]:.2f}" for tissue in tissues]
            rows.append([name, modality, *means, protocol.about])
        if not signals:
            rows.append([name, "all", *["standard"] * len(tissues), protocol.about])
    return rows


def _means(table: pd.DataFrame, role: str) -> tuple[pd.Series, pd.Series]:
    """Return Dice before and after by region, as means over the cases of a role."""
    means = table[table.role == role].groupby("region", sort=False)[["before", "after"]].mean()
    return means["before"], means["after"]


def _gain(table: pd.DataFrame, role: str) -> float:
    before, after = _means(table, role)
    return float(after.mean() - before.mean())

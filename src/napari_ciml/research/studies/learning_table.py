"""What lessons brought, as rows of a table."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from napari_ciml.research.phantoms.protocols import MEANS, PROTOCOLS
from napari_ciml.research.studies.finetuning import LEARNT, OTHER, REPLAY, USUAL


def learning_rows(table: pd.DataFrame, lessons: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each lesson below a head.

    Parameters
    ----------
    table : pandas.DataFrame
        As `measure_learning` writes it.
    lessons : mapping of str to dict
        By protocol and teacher: how many steps it had, and how far the version went.
    """
    regions = list(dict.fromkeys(table.region))
    beside = [role for role in (REPLAY, USUAL) if role in set(table.role)]
    head = ["learnt from", "steps", "taken", "others before", "after", "difference"]
    rows = [[*head, *regions, *beside, "itself before", "after"]]
    for (protocol, lesson), found in table.groupby(["protocol", "lesson"], sort=False):
        before, after = _means(found, OTHER)
        told = lessons[f"{protocol}-{lesson}"]
        own_before, own_after = _means(found, LEARNT)
        rows.append(
            [
                f"{protocol} {lesson + 1}",
                str(told["steps"]),
                f"{told['taken']:g}",
                f"{before.mean():.3f}",
                f"{after.mean():.3f}",
                f"**{after.mean() - before.mean():+.3f}**",
                *(f"{after[region] - before[region]:+.3f}" for region in regions),
                *(f"{_gain(found, role):+.3f}" for role in beside),
                f"{own_before.mean():.3f}",
                f"{own_after.mean():.3f}",
            ]
        )
    return rows


def protocol_rows(names: Iterable[str]) -> list[list[str]]:
    """Return what is strange in each protocol, tissue by tissue, below a head and the usual means.

    Parameters
    ----------
    names : iterable of str
        Of `PROTOCOLS`.
    """
    tissues = list(MEANS["T1"])
    rows = [["protocol", "modality", *tissues, "what it is"]]
    for name in ("usual", *names):
        scanned = PROTOCOLS[name]
        signals = scanned.signals or {m: m for m in ("FLAIR", "T1", "T2") if name == "usual"}
        for modality, signal in signals.items():
            means = [f"{MEANS[signal][tissue][0]:.2f}" for tissue in tissues]
            rows.append([name, modality, *means, scanned.about])
        if not signals:
            rows.append([name, "all", *["as usual"] * len(tissues), scanned.about])
    return rows


def _means(table: pd.DataFrame, role: str) -> tuple[pd.Series, pd.Series]:
    """Return Dice before and after by region, means over the cases of a role."""
    means = table[table.role == role].groupby("region", sort=False)[["before", "after"]].mean()
    return means["before"], means["after"]


def _gain(table: pd.DataFrame, role: str) -> float:
    before, after = _means(table, role)
    return float(after.mean() - before.mean())

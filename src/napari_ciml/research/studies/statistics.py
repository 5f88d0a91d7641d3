"""What a table of scores says: means, their spread over seeds, differences between variants."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

MEAN = "MEAN"
"""Stands for the mean over the regions, as in the paper's tables."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard deviation over seeds; the deviation is NaN for one seed."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences over cases, and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def with_mean(table: pd.DataFrame) -> pd.DataFrame:
    """Add to a table of scores the mean over the regions of each case, as the region ``MEAN``.

    HD95 that is undefined, because one of two masks is empty, is left out of means.
    """
    keys = ["variant", "seed", "case"]
    mean = table.groupby(keys, sort=False)[["dice", "hd95_mm"]].mean().reset_index()
    return pd.concat([table, mean.assign(region=MEAN)], ignore_index=True)


def estimate(table: pd.DataFrame, variant: str, region: str, score: str = "dice") -> Estimate:
    """Return the mean of a score over cases, then over seeds."""
    chosen = table[(table.variant == variant) & (table.region == region)]
    by_seed = chosen.groupby("seed")[score].mean()
    return Estimate(float(by_seed.mean()), float(by_seed.std(ddof=1)))


def difference(
    table: pd.DataFrame, variant: str, reference: str, region: str = MEAN, score: str = "dice"
) -> Difference:
    """Return how much a variant's score lies above the reference's, paired by case.

    A case's score is its mean over the seeds that both variants have; the interval is Student's.
    """
    chosen = table[table.region == region]
    scores = chosen.pivot_table(index=["case", "seed"], columns="variant", values=score)
    paired = scores[[variant, reference]].dropna()
    by_case = (paired[variant] - paired[reference]).groupby("case").mean().to_numpy()
    if len(by_case) < 2 or np.ptp(by_case) == 0:
        return Difference(float(by_case.mean()), float("nan"), float("nan"))
    interval = stats.ttest_1samp(by_case, 0).confidence_interval()
    return Difference(float(by_case.mean()), float(interval.low), float(interval.high))


def rank_correlation(table: pd.DataFrame, said: str, lost: str, seed: int = 0) -> Difference:
    """Return Spearman's rho between two columns; the interval is a bootstrap over cases."""
    known = table[["case", said, lost]].dropna()
    rng = np.random.default_rng(seed)
    groups = [group[[said, lost]].to_numpy() for _, group in known.groupby("case")]
    drawn = []
    for _ in range(1000):
        sample = np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))])
        drawn.append(_spearman(sample))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Difference(_spearman(known[[said, lost]].to_numpy()), float(low), float(high))


def _spearman(pairs: np.ndarray) -> float:
    """Return rho of two columns; NaN if one of them is constant."""
    # scipy's own also computes a p-value, which takes ten times as long as the ranks.
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(stats.rankdata(pairs, axis=0), rowvar=False)[0, 1])

"""Statistics of a table of scores: means, standard deviations, differences, correlations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

MEAN = "MEAN"
"""Name of the mean over the regions, as in the paper's tables."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard deviation over seeds, which is NaN for one seed."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Difference:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def with_mean(table: pd.DataFrame) -> pd.DataFrame:
    """Add the mean over the regions of each case to a table of scores, as the region ``MEAN``.

    HD95 is left out of means where it is undefined, because a mask is empty.
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
    """Return the difference of a variant's score to the reference's, paired by case.

    A case's score is its mean over the seeds that both variants have; the interval is that of a
    t-test.
    """
    chosen = table[table.region == region]
    scores = chosen.pivot_table(index=["case", "seed"], columns="variant", values=score)
    paired = scores[[variant, reference]].dropna()
    by_case = (paired[variant] - paired[reference]).groupby("case").mean().to_numpy()
    if len(by_case) < 2 or np.ptp(by_case) == 0:
        return Difference(float(by_case.mean()), float("nan"), float("nan"))
    interval = stats.ttest_1samp(by_case, 0).confidence_interval()
    return Difference(float(by_case.mean()), float(interval.low), float(interval.high))


def rank_correlation(table: pd.DataFrame, x: str, y: str, seed: int = 0) -> Difference:
    """Return Spearman's rho between two columns; the interval is a bootstrap over cases."""
    complete = table[["case", x, y]].dropna()
    rng = np.random.default_rng(seed)
    groups = [group[[x, y]].to_numpy() for _, group in complete.groupby("case")]
    samples = []
    for _ in range(1000):
        sample = np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))])
        samples.append(_spearman(sample))
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return Difference(_spearman(complete[[x, y]].to_numpy()), float(low), float(high))


def _spearman(pairs: np.ndarray) -> float:
    """Return rho of two columns; NaN if one of them is constant."""
    # scipy's function also computes a p-value, which takes ten times as long as the ranks.
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(stats.rankdata(pairs, axis=0), rowvar=False)[0, 1])

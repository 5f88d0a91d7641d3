"""Figures of the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from napari_ciml.files import atomic_write
from napari_ciml.research.studies.statistics import MEAN, estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"WT": "#2ca02c", "TC": "#d62728", "ET": "#c9a400", MEAN: "#222222"}


def draw_variants(table: pd.DataFrame, variants: Sequence[str], path: Path) -> None:
    """Draw the Dice of every variant by region, with its standard deviation (Fig. 10 and 11)."""
    figure = _figure(max(5.0, 1.1 * len(variants) + 2))
    axes = figure.subplots()
    for region in dict.fromkeys(table.region):
        estimates = [estimate(table, variant, region) for variant in variants]
        axes.errorbar(
            range(len(variants)),
            [one.mean for one in estimates],
            [one.deviation for one in estimates],
            label=region,
            color=_COLOURS.get(region),
            linestyle="--" if region == MEAN else "-",
            marker="o",
            capsize=3,
        )
    axes.set_xticks(range(len(variants)), variants, rotation=20, ha="right", fontsize=8)
    axes.set_ylabel("Dice")
    axes.legend(frameon=False, ncols=4, fontsize=8)
    _save(figure, path)


def draw_muting(table: pd.DataFrame, path: Path) -> None:
    """Draw a message's weight against the loss when it is muted, by pair."""
    figure = _figure(9)
    for axes, loss, title in zip(
        figure.subplots(1, 2),
        ("logit_drop", "dice_drop"),
        ("mean logit over the region", "Dice of the pair"),
        strict=True,
    ):
        for (primary, region), group in table.groupby(["primary", "region"], sort=False):
            by_auxiliary = group.groupby("auxiliary")[["weight", loss]].mean()
            axes.plot(by_auxiliary["weight"], by_auxiliary[loss], "o", label=f"{primary}, {region}")
        axes.axhline(0, color="#999999", linewidth=0.7)
        axes.set(xlabel="complementary-information weight", ylabel=f"loss of {title}")
    axes.legend(frameon=False, fontsize=7)
    _save(figure, path)


def _figure(width: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, 3.4), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)

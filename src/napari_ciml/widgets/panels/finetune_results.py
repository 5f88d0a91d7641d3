"""What a fine-tune brought, as a table and in words."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTableWidget, QTableWidgetItem

from napari_ciml.widgets.panels.common import table

if TYPE_CHECKING:
    from napari_ciml.training.finetune.results import FineTuneResult

_ROW = 32


def results_table() -> QTableWidget:
    """Return the empty table."""
    made = table("Region", "Here", "after", "Replay", "after")
    made.setToolTip("Dice before and after: here, and on cases not to forget.")
    return made


def show_results(scores: QTableWidget, result: "FineTuneResult") -> None:
    """Fill the table."""
    here = "Held out" if result.held_out else "Here"
    scores.setHorizontalHeaderLabels(["Region", here, "after", "Replay", "after"])
    scores.setRowCount(len(result.corrected_after))
    columns = (
        result.corrected_before,
        result.corrected_after,
        result.replay_before,
        result.replay_after,
    )
    for k, region in enumerate(result.corrected_after):
        values = [f"{found.get(region, float('nan')):.2f}" for found in columns]
        for column, text in enumerate((region, *values)):
            scores.setItem(k, column, QTableWidgetItem(text))
    scores.setFixedHeight(_ROW * (len(result.corrected_after) + 1))


def result_notices(result: "FineTuneResult") -> str:
    """Return what the user must know of it."""
    told = [*result.notices]
    if not result.retains_replay:
        told.append("It forgets: the replay cases lost more than the tolerance.")
    elif not result.interpolation:
        told.append("Nothing better was found; the new version is the old one.")
    else:
        told.append(f"It goes {result.interpolation:.0%} of the way to what was learnt.")
    told.append(f"The version was chosen on {result.chosen_on}; replay is {result.kept_on}.")
    return "\n".join(told)

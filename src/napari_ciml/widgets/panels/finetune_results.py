"""Results of a fine-tune: a table of Dice and notices."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTableWidget, QTableWidgetItem

from napari_ciml.widgets.panels.common import table

if TYPE_CHECKING:
    from napari_ciml.training.finetune.results import FineTuneResult

_ROW = 32


def results_table() -> QTableWidget:
    """Return the empty table."""
    table_widget = table("Region", "Train", "after", "Replay", "after")
    table_widget.setToolTip(
        "Dice before and after: on the corrected cases and on the replay cases."
    )
    return table_widget


def show_results(scores: QTableWidget, result: "FineTuneResult") -> None:
    """Fill the table with the Dice before and after, by region."""
    corrected = "Held out" if result.held_out else "Train"
    scores.setHorizontalHeaderLabels(["Region", corrected, "after", "Replay", "after"])
    scores.setRowCount(len(result.corrected_after))
    columns = (
        result.corrected_before,
        result.corrected_after,
        result.replay_before,
        result.replay_after,
    )
    for k, region in enumerate(result.corrected_after):
        values = [f"{scores_of_cases.get(region, float('nan')):.2f}" for scores_of_cases in columns]
        for column, text in enumerate((region, *values)):
            scores.setItem(k, column, QTableWidgetItem(text))
    scores.setFixedHeight(_ROW * (len(result.corrected_after) + 1))


def result_notices(result: "FineTuneResult") -> str:
    """Return the notices of a result, and which version was chosen."""
    notices = [*result.notices]
    if not result.retains_replay:
        notices.append("Forgetting: the Dice on replay cases fell by more than the tolerance.")
    elif not result.interpolation:
        notices.append("No better version was found; the weights are unchanged.")
    else:
        notices.append(f"Weight update: {result.interpolation:.0%} (interpolation).")
    notices.append(f"Version selected on {result.validation_set}; replay: {result.replay_set}.")
    return "\n".join(notices)

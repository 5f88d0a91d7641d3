"""Learning from the labels of the open case, with real clicks."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from helpers.gui import LEFT, wait_until
from helpers.waiting import PATIENCE
from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.cases.reference import Reference
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
from napari_ciml.training.finetune.autosave import saved_progress
from napari_ciml.training.finetune.job import FineTuneJobFolder
from napari_ciml.training.trainer import Trainer
from napari_ciml.widgets.docks.finetune import FineTuneWidget
from napari_ciml.widgets.workbench import Workbench


@pytest.fixture
def painted(loaded: Workbench, qtbot: QtBot) -> Workbench:
    """A case whose segmentation the user has painted, and a replay folder without any case."""
    labels = loaded.viewer.layers["segmentation"]
    corrected = np.zeros_like(labels.data)
    corrected[10:30, 10:30, 10:30] = 2
    corrected[14:26, 14:26, 14:26] = 4
    labels.data = corrected
    how_long(loaded, 6)
    return loaded


def how_long(desk: Workbench, steps: int) -> None:
    desk.finetune.options.basic.widgets["unit"].value = "steps"
    desk.finetune.options.basic.widgets["duration"].value = steps


def ended(desk: Workbench, qtbot: QtBot) -> None:
    wait_until(qtbot, lambda: not desk.session.finetuning.running)


def test_learn_adopt_and_go_back(painted: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    widget, model = painted.finetune, painted.session.model
    old = model.checkpoint
    assert widget.labels.currentText() == "segmentation"
    assert widget.corrected_part.currentText() == "whole volume"
    assert not widget.finish.isEnabled()
    # What a random network learns within a few steps, whatever patches are drawn.
    painted.viewer.layers["segmentation"].data = np.full(model.case.grid.shape, 4, np.uint8)
    widget.options.advanced.widgets["learning_rate"].value = 0.02
    how_long(painted, 20)
    qtbot.mouseClick(widget.start, LEFT)
    assert not widget.start.isEnabled()
    ended(painted, qtbot)
    assert widget.error.text() == ""
    assert widget.curves.points["Dice loss"]
    assert widget.scores.rowCount() == 3
    made = widget.controller.result.path
    assert made == tmp_path / "user" / "checkpoints" / "tiny-v1.safetensors"
    assert load_checkpoint(made).info.training.parent == load_checkpoint(old).sha256
    assert model.checkpoint == old
    qtbot.mouseClick(widget.adopt, LEFT)
    assert model.checkpoint == made
    assert not widget.adopt.isEnabled()
    qtbot.mouseClick(widget.revert, LEFT)
    assert model.checkpoint == old
    assert old.exists()
    assert widget.adopt.isEnabled()
    widget.controller.result = replace(widget.controller.result, interpolation=0.0)
    widget.controller.changed.emit()
    assert not widget.adopt.isEnabled()
    assert "No better version" in widget.notices.text()


def test_it_gives_way_to_the_case(
    painted: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = painted.finetune
    how_long(painted, 100_000)
    begun, go_on = Event(), Event()

    def slow(*_: object) -> None:
        begun.set()
        go_on.wait(PATIENCE)

    qtbot.mouseClick(widget.start, LEFT)
    wait_until(qtbot, lambda: "Step" in widget.state.text())
    painted.session.jobs.main.submit("Segmenting", slow, lambda _: None)
    assert begun.wait(PATIENCE)
    wait_until(qtbot, lambda: widget.state.text().startswith("Waiting"))
    assert widget.controller._controls.pause.is_set()
    go_on.set()
    wait_until(qtbot, lambda: not widget.controller._controls.pause.is_set())
    qtbot.mouseClick(widget.pause, LEFT)
    assert widget.state.text() == "Paused."
    qtbot.mouseClick(widget.finish, LEFT)
    ended(painted, qtbot)
    assert widget.controller.result is not None


def test_discard_and_failures(
    painted: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget, old = painted.finetune, painted.session.model.checkpoint
    how_long(painted, 100_000)
    qtbot.mouseClick(widget.start, LEFT)
    wait_until(qtbot, lambda: "Step" in widget.state.text())
    qtbot.mouseClick(widget.discard, LEFT)
    ended(painted, qtbot)
    assert widget.controller.result is None
    assert painted.session.model.checkpoint == old

    def breaks(*_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(Trainer, "step", breaks)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert "failed unexpectedly (ValueError)" in widget.error.text()
    assert widget.start.isEnabled()


def test_a_label_that_means_nothing_is_refused_until_its_meaning_is_said(
    painted: Workbench, qtbot: QtBot
) -> None:
    labels, widget = painted.viewer.layers["segmentation"], painted.finetune
    labels.data = np.where(labels.data == 4, 3, labels.data)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert "has label 3, which is in no region of brats2020 (1, 2, 4)" in widget.error.text()
    assert "choose the label convention brats2021 or brats2013" in widget.error.text()
    how_long(painted, 2)
    widget.convention.setCurrentText("brats2021")
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert widget.error.text() == ""
    qtbot.mouseClick(widget.add_case, LEFT)
    assert widget.training_cases.convention(0).currentText() == "brats2021"


def test_what_a_reference_means_is_known(painted: Workbench) -> None:
    widget, case = painted.finetune, painted.session.model.case
    meaning = LABEL_CONVENTIONS["brats2013"]
    other = Reference("other.nii.gz", np.full(case.grid.shape, 3, np.uint8), meaning)
    painted.session.reference_comparison.compare_with(other)
    assert widget.convention.currentText() == "default"
    widget.labels.setCurrentText("reference: other.nii.gz")
    assert widget.convention.currentText() == "brats2013"
    widget.labels.setCurrentText("segmentation")
    assert widget.convention.currentText() == "default"


def test_without_a_case_it_says_what_is_missing(desk: Workbench, qtbot: QtBot) -> None:
    qtbot.mouseClick(desk.finetune.start, LEFT)
    assert "Open a case" in desk.finetune.error.text()


def test_only_a_part_that_is_certain(
    painted: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros(painted.session.model.case.grid.shape, np.uint8)
    mask[20] = 1
    painted.viewer.add_labels(mask, name="slice 20")
    widget = painted.finetune
    how_long(painted, 40)
    widget.corrected_part.setCurrentText("slice 20")
    seen: list[float] = []

    def step(_: object, batch: dict, __: int) -> list[float]:
        seen.append(float(batch["confidence"].mean()))
        return [1.0, 1.0, 0.0, 0.0]

    monkeypatch.setattr(Trainer, "step", step)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert min(seen) < 0.2


def test_several_cases_and_what_each_is_for(
    painted: Workbench, qtbot: QtBot, case_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget, options = painted.finetune, painted.finetune.options
    qtbot.mouseClick(widget.add_case, LEFT)
    first = painted.session.model.case
    assert widget.training_cases.rows.rowCount() == 1
    qtbot.mouseClick(widget.add_case, LEFT)
    assert widget.training_cases.rows.rowCount() == 1
    painted.case.open(case_folder)
    wait_until(qtbot, lambda: painted.session.model.case is not first)
    shape = painted.session.model.case.grid.shape
    painted.viewer.add_labels(np.full(shape, 2, np.uint8), name="second")
    widget.labels.setCurrentText("second")
    data = case_folder.parent / "more"
    write_phantoms(data, PhantomSettings("glioma", 8.0), 1, 0, ProgressMonitor())
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(data))
    qtbot.mouseClick(widget.add_folder, LEFT)
    widget.training_cases.role(1).setCurrentText("replay")
    advanced = {"learning_rate": 1e-3, "beta": 0.1, "held_out": 0.5}
    for name, value in advanced.items():
        options.advanced.widgets[name].native.setValue(value)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert widget.error.text() == ""
    result = widget.controller.result
    assert (result.held_out, result.validation_set) == (True, "1 held-out case")
    assert "selected on 1 held-out case" in widget.notices.text()
    assert set(result.replay_before) == {"WT", "TC", "ET"}
    assert widget.scores.horizontalHeaderItem(1).text() == "Held out"
    record = load_checkpoint(result.path).info.training
    assert record.data == "1 corrected and 1 other cases"
    assert (record.options["learning_rate"], record.options["beta"]) == (1e-3, 0.1)
    qtbot.mouseClick(widget.training_cases.rows.cellWidget(0, 3), LEFT)
    qtbot.mouseClick(widget.training_cases.rows.cellWidget(0, 3), LEFT)
    assert not widget.training_cases.isVisibleTo(widget)


def test_what_is_untrained_is_said(painted: Workbench) -> None:
    model = painted.session.model
    assert painted.finetune.unsupported.text() == ""
    task = model.decomposition.subtasks[0]
    other = task.model_copy(update={"regions": ("WT", "TC", "ET")})
    rest = model.decomposition.subtasks[1:]
    model.set_decomposition(model.decomposition.model_copy(update={"subtasks": (other, *rest)}))
    missing = sorted({"WT", "TC", "ET"} - set(task.regions))
    for region in missing:
        assert f"{region} from {task.name} is untrained" in painted.finetune.unsupported.text()


@pytest.mark.window
def test_closing_asks_stops_and_leaves_what_can_be_gone_on_with(
    painted: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    widget = painted.finetune
    window = widget.guard.window()
    how_long(painted, 100_000)
    qtbot.mouseClick(widget.start, LEFT)
    wait_until(qtbot, lambda: "Step" in widget.state.text())
    answer(QMessageBox.StandardButton.No)
    window.close()
    assert window.isVisible()
    assert widget.controller.running
    answer(QMessageBox.StandardButton.Yes)
    assert not widget.guard.eventFilter(window, QCloseEvent())
    (kept,) = (tmp_path / "user" / "fine-tunes").iterdir()
    steps, _ = saved_progress(kept)
    assert steps > 0
    job = FineTuneJobFolder(kept).job()
    shorter = job.settings.model_copy(update={"steps": steps + 2})
    (kept / "job.json").write_text(job.model_copy(update={"settings": shorter}).model_dump_json())
    painted.session.close()  # as the window does when it goes; the next dock begins another one
    later = FineTuneWidget(painted.viewer)
    qtbot.addWidget(later)
    later.show()
    assert "was interrupted" in later.interrupted.text()
    qtbot.mouseClick(later.resume, LEFT)
    wait_until(qtbot, lambda: not later.controller.running)
    assert later.error.text() == ""
    assert later.controller.result.steps == steps + 2
    assert load_checkpoint(later.controller.result.path)
    assert not kept.exists()
    assert not later.resume.isVisible()


def answer(button: QMessageBox.StandardButton) -> None:
    """Click a button of the question that is about to be asked."""

    def click() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            box.button(button).click()
        else:
            QTimer.singleShot(20, click)

    QTimer.singleShot(20, click)


def test_discarded_or_failed_leaves_nothing_behind(
    painted: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    widget = painted.finetune
    how_long(painted, 100_000)
    qtbot.mouseClick(widget.start, LEFT)
    wait_until(qtbot, lambda: "Step" in widget.state.text())
    qtbot.mouseClick(widget.discard, LEFT)
    ended(painted, qtbot)
    assert list((tmp_path / "user" / "fine-tunes").iterdir()) == []
    labels = painted.viewer.layers["segmentation"]
    labels.data = np.where(labels.data == 4, 3, labels.data)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert list((tmp_path / "user" / "fine-tunes").iterdir()) == []

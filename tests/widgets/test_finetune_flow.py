"""Learning from the labels of the open case, with real clicks."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.training.step import Trainer
from napari_ciml.widgets.desk import Desk

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def painted(loaded: Desk, qtbot: QtBot) -> Desk:
    """A case whose segmentation the user has painted, and a replay folder without any case."""
    labels = loaded.viewer.layers["segmentation"]
    corrected = np.zeros_like(labels.data)
    corrected[10:30, 10:30, 10:30] = 2
    corrected[14:26, 14:26, 14:26] = 4
    labels.data = corrected
    loaded.finetune.minutes.setValue(0.05)
    return loaded


def ended(desk: Desk, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not desk.finetune.tuning.running, timeout=60000)


def test_learn_adopt_and_go_back(painted: Desk, qtbot: QtBot, tmp_path: Path) -> None:
    widget, review = painted.finetune, painted.session.review
    old = review.checkpoint
    assert widget.labels.currentText() == "segmentation"
    assert widget.certain.currentText() == "everywhere"
    assert not widget.keep.isEnabled()
    qtbot.mouseClick(widget.start, LEFT)
    assert not widget.start.isEnabled()
    ended(painted, qtbot)
    assert widget.error.text() == ""
    assert widget.curves.points["Dice loss"]
    assert widget.scores.rowCount() == 3
    made = widget.tuning.result.path
    assert made == tmp_path / "user" / "checkpoints" / "tiny-v1.safetensors"
    assert load_checkpoint(made).info.training.parent == load_checkpoint(old).sha256
    assert review.checkpoint == old
    qtbot.mouseClick(widget.adopt, LEFT)
    assert review.checkpoint == made
    assert not widget.adopt.isEnabled()
    qtbot.mouseClick(widget.back, LEFT)
    assert review.checkpoint == old
    assert old.exists()


def test_it_gives_way_to_the_case(
    painted: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = painted.finetune
    widget.minutes.setValue(60)
    begun, go_on = Event(), Event()

    def slow(*_: object) -> None:
        begun.set()
        go_on.wait(20)

    qtbot.mouseClick(widget.start, LEFT)
    qtbot.waitUntil(lambda: "Step" in widget.state.text(), timeout=30000)
    painted.session.runner.submit("Segmenting", slow, lambda _: None)
    assert begun.wait(5)
    qtbot.waitUntil(lambda: widget.state.text().startswith("Waiting"), timeout=5000)
    assert widget.tuning.controls.pause.is_set()
    go_on.set()
    qtbot.waitUntil(lambda: not widget.tuning.controls.pause.is_set(), timeout=5000)
    qtbot.mouseClick(widget.pause, LEFT)
    assert widget.state.text() == "Paused."
    qtbot.mouseClick(widget.keep, LEFT)
    ended(painted, qtbot)
    assert widget.tuning.result is not None


def test_discard_and_failures(painted: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    widget, old = painted.finetune, painted.session.review.checkpoint
    widget.minutes.setValue(60)
    qtbot.mouseClick(widget.start, LEFT)
    qtbot.waitUntil(lambda: "Step" in widget.state.text(), timeout=30000)
    qtbot.mouseClick(widget.discard, LEFT)
    ended(painted, qtbot)
    assert widget.tuning.result is None
    assert painted.session.review.checkpoint == old

    def breaks(*_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(Trainer, "step", breaks)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert "failed unexpectedly (ValueError)" in widget.error.text()
    assert widget.start.isEnabled()


def test_a_label_that_means_nothing_is_refused(painted: Desk, qtbot: QtBot) -> None:
    labels = painted.viewer.layers["segmentation"]
    labels.data = np.where(labels.data == 4, 3, labels.data)
    qtbot.mouseClick(painted.finetune.start, LEFT)
    ended(painted, qtbot)
    assert (
        "has label 3, which is in no region of brats2020 (1, 2, 4)" in painted.finetune.error.text()
    )


def test_without_a_case_it_says_what_is_missing(desk: Desk, qtbot: QtBot) -> None:
    qtbot.mouseClick(desk.finetune.start, LEFT)
    assert "Open a case" in desk.finetune.error.text()


def test_only_a_part_that_is_certain(
    painted: Desk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros(painted.session.review.case.grid.shape, np.uint8)
    mask[20] = 1
    painted.viewer.add_labels(mask, name="slice 20")
    widget = painted.finetune
    widget.certain.setCurrentText("slice 20")
    seen: list[float] = []

    def step(_: object, batch: dict, __: int) -> list[float]:
        seen.append(float(batch["certain"].mean()))
        return [1.0, 1.0, 0.0, 0.0]

    monkeypatch.setattr(Trainer, "step", step)
    qtbot.mouseClick(widget.start, LEFT)
    ended(painted, qtbot)
    assert min(seen) < 0.2

"""What somebody meets who has never seen the plugin: words, tooltips, five steps."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QScrollBar,
    QTableView,
    QWidget,
)

from helpers.gui import wait_until
from napari_ciml.widgets.docks import guide as guide_widget
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.workbench import Workbench

LEFT = Qt.MouseButton.LeftButton
CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QAbstractSlider, QTableView, QLineEdit)


def is_own_part(widget: QWidget) -> bool:
    """Whether a control belongs to another one, which says what it is for."""
    outer = widget.parent()
    while outer is not None and not isinstance(outer, Dock):
        if isinstance(outer, QComboBox | QAbstractSpinBox | QHeaderView):
            return True
        outer = outer.parent()
    corner = type(widget).__name__ == "QTableCornerButton" or (
        isinstance(widget, QAbstractButton) and isinstance(widget.parent(), QTableView)
    )
    return isinstance(widget, QScrollBar) or corner


def without_tip(dock: Dock) -> list[str]:
    return [
        f"{type(widget).__name__} {getattr(widget, 'text', lambda: '')()}"
        for kind in CONTROLS
        for widget in dock.findChildren(kind)
        if not is_own_part(widget) and not widget.toolTip().strip()
    ]


def test_every_control_says_what_it_does(loaded: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    qtbot.mouseClick(loaded.segment.run, LEFT)
    wait_until(qtbot, lambda: not loaded.session.jobs.main.busy)
    loaded.finetune.training_cases.add(tmp_path)
    found = {name: without_tip(dock) for name, dock in loaded.docks.items()}
    assert {name: tips for name, tips in found.items() if tips} == {}


def test_an_empty_dock_says_what_to_do(desk: Workbench) -> None:
    assert "Open a folder" in desk.case.title.text()
    assert "Guide" in desk.case.title.text()
    assert "Open a case first" in desk.view.empty.text()
    assert not desk.view.buttons["Three planes"].isEnabled()
    assert "Open a case first" in desk.segment.summary.text()
    assert "Segment the case first" in desk.explain.state.text()
    assert "Open a case, and segment it" in desk.finetune.empty.text()
    assert "FLAIR" in desk.decomposition.grid.horizontalHeaderItem(0).text()


def test_about_the_checkpoint(desk: Workbench, qtbot: QtBot) -> None:
    qtbot.mouseClick(desk.segment.about, LEFT)
    text = desk.segment.dialog.text.toPlainText()
    for said in ("tiny", "limitations", "FLAIR", "WT", "Not evaluated", "4 x 4 x 4 mm"):
        assert said in text
    desk.segment.dialog.close()


def test_five_steps(
    desk: Workbench, case_folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole walk-through by its buttons; a step done in another way counts as well."""
    guide, session = desk.guide, desk.session
    case_folder.rename(case_folder.parent / "glioma")
    monkeypatch.setattr(guide_widget, "sample_data", lambda: case_folder.parent)
    assert guide.completed == [False] * 5
    assert [button.isEnabled() for button in guide.buttons] == [True] + [False] * 4

    def press(step: int) -> None:
        qtbot.mouseClick(guide.buttons[step], LEFT)
        wait_until(qtbot, lambda: not session.jobs.main.busy)

    press(0)
    assert guide.completed == [True] + [False] * 4
    assert guide.titles[0].text() == "✓ Open a case"
    assert guide.titles[1].text() == "<b>2. Look</b>"
    press(1)
    wait_until(qtbot, lambda: guide.completed[1] and not session.display.layouts.side_by_side.busy)
    qtbot.mouseClick(desk.segment.run, LEFT)
    wait_until(qtbot, lambda: guide.completed[2])
    press(3)
    assert guide.completed == [True] * 4 + [False]
    press(4)
    wait_until(qtbot, lambda: not session.display.layouts.side_by_side.shown)
    layer = desk.viewer.layers.selection.active
    assert layer is session.layers.segmentation()
    assert layer.mode == "paint"
    empty = tuple(np.argwhere(layer.data != 3)[0])
    layer.selected_label = 3
    layer.paint(empty, 3)
    assert guide.completed == [True] * 5
    assert "open a case of your own" in guide.end.text()


def test_pictures_of_the_guide_are_there_and_small() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "gallery.md").read_text()
    pictures = sorted((docs / "images" / "guide").glob("*.png"))
    assert len(pictures) == 9
    for picture in pictures:
        assert f"images/guide/{picture.name}" in text
        assert picture.stat().st_size < 150_000
    assert "docs/gallery.md" in (docs.parent / "README.md").read_text()

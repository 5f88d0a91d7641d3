"""The dock widgets as napari's own menu opens them: one by one, with no desk around them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMainWindow, QMenu

from helpers.gui import wait_until
from napari_ciml.widgets import docks as docks_package
from napari_ciml.widgets.controllers.session import Session, get_session
from napari_ciml.widgets.docks.case import CaseWidget
from napari_ciml.widgets.docks.segment import SegmentWidget
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.dock_tabs import MENU_SUFFIX, dock_of
from napari_ciml.widgets.workbench import Workbench, dock_contributions

NAMES = tuple(dock.name for dock in dock_contributions())


@pytest.fixture
def opened(
    make_napari_viewer: Callable[..., Any],
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Viewer, dict[str, Dock]]:
    """A viewer, and every dock widget of the manifest, chosen in *Plugins*."""
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")
    viewer = make_napari_viewer(show=True)
    choices = _choices(viewer.window.plugins_menu)
    for name in NAMES:
        choices[name].trigger()
    session = get_session(viewer)
    session.model.set_checkpoint(tiny_checkpoint_path)
    yield viewer, {name: viewer.window.dock_widgets[f"{name}{MENU_SUFFIX}"] for name in NAMES}
    session.close()


def test_manifest_and_code_list_the_same_dock_widgets() -> None:
    folder = Path(docks_package.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {dock.command for dock in dock_contributions()} == modules
    for dock in dock_contributions():
        assert dock.python_name.partition(":")[0] == f"{docks_package.__name__}.{dock.command}"
        assert issubclass(resolve_name(dock.python_name), Dock)


def test_each_one_opens_and_all_share_a_session(opened: tuple[Viewer, dict[str, Dock]]) -> None:
    viewer, docks = opened
    assert {id(dock.session) for dock in docks.values()} == {id(get_session(viewer))}


def test_they_lie_over_each_other_the_newest_on_top(
    opened: tuple[Viewer, dict[str, Dock]], qtbot: QtBot
) -> None:
    _, docks = opened
    frames = [dock_of(dock) for dock in docks.values()]
    main = frames[0].window()
    assert isinstance(main, QMainWindow)
    assert [frame.windowTitle() for frame in frames] == list(NAMES)
    assert {id(f) for f in main.tabifiedDockWidgets(frames[0])} == {id(f) for f in frames[1:]}
    wait_until(qtbot, lambda: docks[NAMES[-1]].isVisible())
    assert not frames[0].visibleRegion().contains(frames[0].rect().center())


@pytest.mark.window(shown=False)
def test_the_menu_finds_what_the_command_line_has_opened(desk: Workbench) -> None:
    assert list(desk.docks) == list(NAMES)
    widgets = desk.viewer.window.dock_widgets
    assert {name: widgets[f"{name}{MENU_SUFFIX}"] for name in NAMES} == desk.docks
    choice = _choices(desk.viewer.window.plugins_menu)["Runs"]
    choice.trigger()
    assert len(desk.viewer.window.dock_widgets) == len(widgets)
    assert not dock_of(desk.runs).isVisible()


def test_a_case_is_opened_in_one_and_segmented_in_another(
    opened: tuple[Viewer, dict[str, Dock]], case_folder: Path, qtbot: QtBot
) -> None:
    viewer, docks = opened
    case, segment, session = docks["Case"], docks["Segment"], get_session(viewer)
    assert isinstance(case, CaseWidget)
    assert isinstance(segment, SegmentWidget)
    case.open(case_folder)
    _wait(session, qtbot)
    qtbot.mouseClick(segment.run, Qt.MouseButton.LeftButton)
    _wait(session, qtbot)
    assert session.model.segmentation is not None, segment.error.text()
    assert "segmentation" in viewer.layers


def test_a_script_may_end_without_closing_its_viewer() -> None:
    script = (
        "import napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.window.add_plugin_dock_widget('napari-ciml', 'Case')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def _choices(menu: QMenu) -> dict[str, QAction]:
    """Return what can be chosen in a menu and in those below it, by its text."""
    menu.aboutToShow.emit()
    found: dict[str, QAction] = {}
    for action in menu.actions():
        below = action.menu()
        found |= {action.text(): action} if below is None else _choices(below)
    return found


def _wait(session: Session, qtbot: QtBot) -> None:
    wait_until(qtbot, lambda: not session.jobs.main.busy)

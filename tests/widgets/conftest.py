"""All dock widgets, with the tiny checkpoint; on a model of the viewer, or in napari's window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from helpers.gui import click, wait
from napari_ciml.widgets.workbench import Workbench, add_dock_widgets, create_dock_widgets


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    qtbot: QtBot,
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workbench]:
    """All dock widgets; in a window only for a test marked `window`, which costs some seconds."""
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")
    window = request.node.get_closest_marker("window")
    if window is None:
        desk = create_dock_widgets(ViewerModel())
        for dock in desk.docks.values():
            qtbot.addWidget(dock)
    else:
        make_napari_viewer = request.getfixturevalue("make_napari_viewer")
        desk = add_dock_widgets(make_napari_viewer(show=window.kwargs.get("shown", True)))
    desk.session.model.set_checkpoint(tiny_checkpoint_path)
    yield desk
    desk.session.close()


@pytest.fixture
def loaded(desk: Workbench, case_folder: Path, qtbot: QtBot) -> Workbench:
    """The same with a case open."""
    desk.case.open(case_folder)
    wait(qtbot, desk)
    assert desk.session.model.case is not None, f"{desk.case.error.text()}\n{desk.case._details}"
    return desk


@pytest.fixture
def segmented(loaded: Workbench, qtbot: QtBot) -> Workbench:
    """The same with the case segmented."""
    click(qtbot, loaded.segment.run)
    wait(qtbot, loaded)
    assert loaded.session.model.segmentation is not None, loaded.segment.error.text()
    return loaded

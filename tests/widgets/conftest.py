"""A viewer with the five dock widgets and the tiny checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_ciml.widgets.workbench import Workbench, add_dock_widgets


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    make_napari_viewer: Callable[..., Any],
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Workbench:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")
    drawn = request.node.get_closest_marker("drawn")
    viewer = make_napari_viewer(show=drawn is None or drawn.args[0])
    made = add_dock_widgets(viewer)
    made.session.model.set_checkpoint(tiny_checkpoint_path)
    yield made
    made.finetune.controller.close()
    made.session.close()


@pytest.fixture
def loaded(desk: Workbench, case_folder: Path, qtbot: QtBot) -> Workbench:
    """The same with a case open."""
    desk.case.open(case_folder)
    qtbot.waitUntil(lambda: not desk.session.runner.busy, timeout=120000)
    assert desk.session.model.case is not None, f"{desk.case.error.text()}\n{desk.case._details}"
    return desk

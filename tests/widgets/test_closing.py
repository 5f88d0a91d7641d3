"""What a closed window leaves behind: nothing."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from pytestqt.qtbot import QtBot

from helpers.gui import click_and_wait, run_segment, wait, wait_until
from napari_ciml.widgets.workbench import Workbench, add_dock_widgets


def test_a_closed_window_is_freed_with_all_that_belongs_to_it(
    make_napari_viewer: Callable[..., Any],
    tiny_checkpoint_path: Path,
    case_folder: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")

    def review(desk: Workbench) -> list[ref[Any]]:
        session = desk.session
        session.model.set_checkpoint(tiny_checkpoint_path)
        desk.case.open(case_folder)
        wait(qtbot, desk)
        run_segment(qtbot, desk)
        click_and_wait(qtbot, desk, desk.explain.run)
        model = session.model
        parts = (desk.viewer, session, model, model.case, model.segmentation, *desk.viewer.layers)
        return [ref(part) for part in parts]

    viewer = make_napari_viewer(show=False)
    parts = review(add_dock_widgets(viewer))
    viewer.close()
    del viewer
    wait_until(qtbot, lambda: gc.collect() >= 0 and not any(part() for part in parts))

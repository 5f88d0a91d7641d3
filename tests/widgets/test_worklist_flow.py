"""Going through a folder of cases, with real clicks."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from helpers.cases import write_case
from helpers.gui import click_and_wait, press, wait, wait_until
from helpers.waiting import PATIENCE
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.workbench import Workbench

GRID = Grid((24, 24, 24), (4.0, 4.0, 4.0), (-40.0, -40.0, -40.0))


def stages(desk: Workbench) -> list[str]:
    cases = desk.worklist.cases
    return [cases.item(k, 1).text() for k in range(cases.rowCount())]


@pytest.fixture
def listed(
    desk: Workbench, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Workbench:
    for seed, name in enumerate(("a", "b", "c")):
        write_case(tmp_path / "cases" / name, GRID, seed)
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_, **__: str(tmp_path / "cases")
    )
    click_and_wait(qtbot, desk, desk.worklist.open)
    assert stages(desk) == ["new", "new", "new"]
    return desk


def test_nothing_painted_is_lost_and_the_next_case_is_ready(
    listed: Workbench, qtbot: QtBot
) -> None:
    desk, model = listed, listed.session.model
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert model.case.name == "a"
    # While the first one is looked at, the second was segmented and put on disk.
    assert stages(desk) == ["new", "segmented", "new"]
    click_and_wait(qtbot, desk, desk.segment.run)
    layer = desk.viewer.layers["segmentation"]
    layer.data[3:6, 3:6, 3:6] = 4
    layer.refresh()
    painted = layer.data.copy()
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert model.case.name == "b"
    assert model.segmentation is not None
    assert not desk.worklist.error.text()
    assert stages(desk) == ["corrected", "segmented", "segmented"]
    assert desk.worklist.cases.currentRow() == 1
    assert not any("edited" in layer.name for layer in desk.viewer.layers)
    click_and_wait(qtbot, desk, desk.worklist.previous)
    assert model.case.name == "a"
    np.testing.assert_array_equal(desk.viewer.layers["segmentation"].data, painted)


def test_the_next_case_is_read_ahead_unless_it_was_saved_again(
    listed: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ciml.session.storage import read

    desk, model, rounds = listed, listed.session.model, listed.session.worklist
    opened: list[Path] = []
    real = read.open_session

    def spied(folder: Path, monitor: ProgressMonitor) -> object:
        opened.append(folder)
        return real(folder, monitor)

    monkeypatch.setattr(read, "open_session", spied)
    click_and_wait(qtbot, desk, desk.worklist.next)
    second, third = (rounds.worklist.session(k) for k in (1, 2))
    assert opened == [second]
    click_and_wait(qtbot, desk, desk.worklist.next)
    # It was there already; what was read is the one after it.
    assert (model.case.name, opened) == ("b", [second, third])
    assert model.segmentation is not None
    (third / "session.json").touch()
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert (model.case.name, opened) == ("c", [second, third, third])
    # One that has a session already is read ahead, too.
    click_and_wait(qtbot, desk, desk.worklist.previous)
    assert (model.case.name, opened[3:]) == ("b", [second, third])


def test_an_export_is_noted(listed: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    desk = listed
    desk.worklist.prefetch.setChecked(False)
    click_and_wait(qtbot, desk, desk.worklist.next)
    # One that is read again, as to align it, is still the same case of the worklist.
    click_and_wait(qtbot, desk, desk.case.load)
    assert desk.session.worklist.current == 0
    assert stages(desk) == ["new", "new", "new"]
    click_and_wait(qtbot, desk, desk.segment.run)
    desk.export.export_to(tmp_path / "out")
    wait(qtbot, desk)
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert stages(desk) == ["exported", "new", "new"]


def test_the_run_that_is_shown_counts_and_a_correction_that_was_set_aside(
    listed: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    desk, model = listed, listed.session.model
    desk.worklist.prefetch.setChecked(False)
    desk.session.live.set_on(False)
    click_and_wait(qtbot, desk, desk.worklist.next)
    click_and_wait(qtbot, desk, desk.segment.run)
    first = model.segmentation.label_map
    model.set_threshold("WT", 0.01)
    click_and_wait(qtbot, desk, desk.segment.run)
    assert not np.array_equal(first, model.segmentation.label_map)
    desk.export.export_to(tmp_path / "out")
    wait(qtbot, desk)
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert stages(desk)[0] == "exported"
    click_and_wait(qtbot, desk, desk.worklist.previous)
    layer = desk.viewer.layers["segmentation"]
    assert desk.export.target.text() == "Exports 'segmentation', as computed."
    layer.paint((4, 4, 4), 4)
    wait_until(qtbot, lambda: "with corrections" in desk.export.target.text())
    model.set_threshold("WT", 0.6)
    click_and_wait(qtbot, desk, desk.segment.run)
    first_line, second = desk.export.target.text().splitlines()
    assert first_line == "Exports 'segmentation', as computed."
    assert "has corrections and is not exported" in second
    click_and_wait(qtbot, desk, desk.worklist.next)
    assert stages(desk)[0] == "corrected"


def test_a_case_that_cannot_be_saved_is_not_left(
    listed: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    click_and_wait(qtbot, listed, listed.worklist.next)

    def full(*_: object) -> None:
        raise InputError("out: cannot be written (disk full); choose another folder.")

    monkeypatch.setattr("napari_ciml.session.storage.write.save_session", full)
    click_and_wait(qtbot, listed, listed.worklist.next)
    assert "disk full" in listed.worklist.error.text()
    assert listed.session.model.case.name == "a"


def test_keys_go_on_and_back_and_none_of_them_is_taken(listed: Workbench, qtbot: QtBot) -> None:
    from napari.settings import get_settings

    from napari_ciml.widgets.display.key_bindings import NEXT_CASE, PREVIOUS_CASE

    keys = [str(k) for keys in get_settings().shortcuts.shortcuts.values() for k in keys]
    assert not {key.replace("Control-", "Ctrl+") for key in (NEXT_CASE, PREVIOUS_CASE)} & set(keys)
    for key, name in (
        (NEXT_CASE, "a"),
        (NEXT_CASE, "b"),
        (PREVIOUS_CASE, "a"),
    ):
        press(listed, key)
        wait(qtbot, listed)
        assert listed.session.model.case.name == name


def test_background_work_gives_way_and_begins_again(qtbot: QtBot) -> None:
    runner, order, begun = JobRunner(), [], Event()

    def slow(monitor: ProgressMonitor) -> str:
        order.append("ahead begins")
        begun.set()
        while len(order) == 1:
            monitor.step("Waiting")
        return "ahead ends"

    def asked(name: str) -> Callable[[ProgressMonitor], str]:
        return lambda _: name

    runner.submit("Ahead", slow, order.append, background=True)
    assert begun.wait(PATIENCE)
    runner.submit("Asked", asked("asked"), order.append)
    wait_until(qtbot, lambda: not runner.busy)
    assert order == ["ahead begins", "asked", "ahead begins", "ahead ends"]
    runner.close()

"""A modality that lies beside the reference: told, aligned, judged, refused; with real clicks."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QPushButton

from napari_ciml.cases import case as cases
from napari_ciml.cases.alignment import checkerboard
from napari_ciml.cases.geometry import Grid
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom
from napari_ciml.widgets.layers.metadata import plugin_layers
from napari_ciml.widgets.workbench import Workbench

pytestmark = pytest.mark.window(shown=False)

SHIFT = np.array([12.0, -8.0, 4.0])
"""How far T1's file says that it lies from where it belongs, in mm (x, y, z)."""


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom("glioma", 5, 4.0)


@pytest.fixture
def desk_beside(desk: Workbench, phantom: Phantom, tmp_path: Path, qtbot: QtBot) -> Workbench:
    grid = phantom.grid
    moved = Grid(grid.size, grid.spacing, tuple(np.add(grid.origin, SHIFT)), grid.direction)
    for name, place in (("FLAIR", grid), ("T1", moved)):
        image = place.to_sitk(phantom.images[name])
        sitk.WriteImage(image, str(tmp_path / f"case_{name.lower()}.nii.gz"))
    desk.session.live.set_on(False)
    desk.case.open(tmp_path)
    wait(desk, qtbot)
    return desk


def wait(desk: Workbench, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not desk.session.jobs.main.busy, timeout=300000)


def click(button: QPushButton, qtbot: QtBot) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def pick(box: QComboBox, text: str, desk: Workbench, qtbot: QtBot) -> None:
    """Choose an entry by keys, as a user does, and wait for what it shows."""
    box.setFocus()
    while box.currentText() != text:
        down = box.findText(text) > box.currentIndex()
        qtbot.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
    wait(desk, qtbot)


def apart(desk: Workbench, phantom: Phantom) -> float:
    """Return how unlike the T1 that is shown is to the one that was never moved."""
    return float(1 - np.corrcoef(desk.viewer.layers["T1"].data.ravel(), truth(phantom))[0, 1])


def truth(phantom: Phantom) -> np.ndarray:
    return sitk.GetArrayFromImage(phantom.grid.to_sitk(phantom.images["T1"])).ravel()


def test_told_cancelled_aligned_judged_and_refused(
    desk_beside: Workbench, phantom: Phantom, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, panel, model = desk_beside, desk_beside.case.alignment, desk_beside.session.model
    before = model.case
    assert panel.notice.text().startswith("T1 seems to lie about 1")
    assert not panel.revert.isVisibleTo(desk.case)
    assert [panel.checkerboard.itemText(k) for k in range(9)][:3] == ["off", "T1", ""]
    assert apart(desk, phantom) > 0.1

    def slow(*_: object) -> None:
        monitor = next(one for one in _ if isinstance(one, ProgressMonitor))
        while True:
            monitor.step("Aligning T1", 1, 3)

    with monkeypatch.context() as patched:
        patched.setattr(cases, "register_modality", slow)
        click(panel.align, qtbot)
        qtbot.waitUntil(lambda: "Aligning T1" in desk.case.jobs.stage.text(), timeout=60000)
        click(desk.case.jobs.cancel, qtbot)
        wait(desk, qtbot)
    assert "Aligning was cancelled" in desk.case.jobs.notices.text()
    assert model.case is before

    click(panel.align, qtbot)
    wait(desk, qtbot)
    after = model.case
    points = np.array([[0.0, 0.0, 0.0], [40.0, 30.0, 50.0]])
    found = after.transforms["T1"].points(points) - points
    np.testing.assert_allclose(found, [SHIFT, SHIFT], atol=1.0)
    assert apart(desk, phantom) < 0.02
    assert panel.notice.text() == ""
    assert "T1 was moved onto FLAIR (rigid: 1" in desk.case.notices.text()

    pick(panel.checkerboard, "T1", desk, qtbot)
    (board,) = plugin_layers(desk.viewer, "checkerboard")
    assert (board.visible, board.name) == (True, "T1 / FLAIR")
    now = desk.session.model.loaded
    limits = now.limits["FLAIR"], now.limits["T1"]
    expected = checkerboard(after.images["FLAIR"], after.images["T1"], limits, after.grid)
    np.testing.assert_array_equal(board.data, expected)
    pick(panel.checkerboard, "T1 (original)", desk, qtbot)
    assert board.name == "T1 (original) / FLAIR"
    assert (board.data != expected).mean() > 0.05
    pick(panel.checkerboard, "off", desk, qtbot)
    assert not board.visible

    click(panel.revert, qtbot)
    wait(desk, qtbot)
    assert model.case is before
    assert apart(desk, phantom) > 0.1
    assert not panel.revert.isVisibleTo(desk.case)
    assert panel.checkerboard.findText("T1 (original)") < 0
    click(panel.align, qtbot)
    wait(desk, qtbot)
    assert model.case.transforms["T1"] == after.transforms["T1"]

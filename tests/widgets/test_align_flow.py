"""A modality that lies beside the reference: told, aligned, judged, refused; with real clicks."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pytestqt.qtbot import QtBot

from helpers.gui import choose_by_keys, click, wait, wait_until
from napari_ciml.cases import case as cases
from napari_ciml.cases.alignment import checkerboard
from napari_ciml.cases.geometry import Grid
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom
from napari_ciml.widgets.layers.metadata import plugin_layers
from napari_ciml.widgets.workbench import Workbench

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
    wait(qtbot, desk)
    return desk


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
    assert panel.notice.text().startswith("T1 may be misregistered to FLAIR (about 1")
    assert not panel.revert.isVisibleTo(desk.case)
    assert [panel.checkerboard.itemText(k) for k in range(9)][:3] == ["off", "T1", ""]
    assert apart(desk, phantom) > 0.1

    def slow(*_: object) -> None:
        monitor = next(one for one in _ if isinstance(one, ProgressMonitor))
        while True:
            monitor.step("Aligning T1", 1, 3)

    with monkeypatch.context() as patched:
        patched.setattr(cases, "register_modality", slow)
        click(qtbot, panel.align)
        wait_until(qtbot, lambda: "Aligning T1" in desk.case.jobs.stage.text())
        click(qtbot, desk.case.jobs.cancel)
        wait(qtbot, desk)
    assert "Aligning was cancelled" in desk.case.jobs.notices.text()
    assert model.case is before

    click(qtbot, panel.align)
    wait(qtbot, desk)
    after = model.case
    points = np.array([[0.0, 0.0, 0.0], [40.0, 30.0, 50.0]])
    found = after.transforms["T1"].points(points) - points
    np.testing.assert_allclose(found, [SHIFT, SHIFT], atol=1.0)
    assert apart(desk, phantom) < 0.02
    assert panel.notice.text() == ""
    assert "T1 was aligned to FLAIR (rigid: moved by 1" in desk.case.notices.text()

    choose_by_keys(qtbot, panel.checkerboard, "T1")
    wait(qtbot, desk)
    (board,) = plugin_layers(desk.viewer, "checkerboard")
    assert (board.visible, board.name) == (True, "T1 / FLAIR")
    now = desk.session.model.loaded
    limits = now.limits["FLAIR"], now.limits["T1"]
    expected = checkerboard(after.images["FLAIR"], after.images["T1"], limits, after.grid)
    np.testing.assert_array_equal(board.data, expected)
    choose_by_keys(qtbot, panel.checkerboard, "T1 (original)")
    wait(qtbot, desk)
    assert board.name == "T1 (original) / FLAIR"
    assert (board.data != expected).mean() > 0.05
    choose_by_keys(qtbot, panel.checkerboard, "off")
    wait(qtbot, desk)
    assert not board.visible

    click(qtbot, panel.revert)
    wait(qtbot, desk)
    assert model.case is before
    assert apart(desk, phantom) > 0.1
    assert not panel.revert.isVisibleTo(desk.case)
    assert panel.checkerboard.findText("T1 (original)") < 0
    click(qtbot, panel.align)
    wait(qtbot, desk)
    assert model.case.transforms["T1"] == after.transforms["T1"]

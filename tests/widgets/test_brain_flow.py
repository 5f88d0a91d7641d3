"""Images of whole heads: said, the brain found, judged, used, taken back; with real clicks."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from helpers.gui import click, wait, wait_until
from helpers.heads import write_head
from napari_ciml.cases.skull_stripping import brain_mask
from napari_ciml.errors import InputError
from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.controllers import skull_stripping
from napari_ciml.widgets.layers.metadata import plugin_layers
from napari_ciml.widgets.workbench import Workbench


@pytest.fixture(scope="session")
def head(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("head")
    return folder, write_head(folder)


def test_cancelled_failed_found_used_and_taken_back(
    desk: Workbench, head: tuple[Path, np.ndarray], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, model = desk.case.brain, desk.session.model
    desk.session.live.set_on(False)
    desk.case.open(head[0])
    wait(qtbot, desk)
    assert panel.notice.text().startswith("FLAIR, T1, T1CE, T2 show skull and scalp")
    assert panel.find_brain.isVisibleTo(desk.case)
    assert not panel.remove_mask.isVisibleTo(desk.case)
    whole = model.case
    desk.viewer.dims.set_current_step(0, 20)
    desk.session.layers.show_modality("T2")

    def slow(_: object, monitor: ProgressMonitor, *__: object) -> None:
        while True:
            monitor.step("Finding the brain in T1", 1, 4)

    def fails(*_: object) -> None:
        raise InputError("The brain could not be told from the skull and scalp.")

    with monkeypatch.context() as patched:
        patched.setattr(skull_stripping, "skull_strip", slow)
        click(qtbot, panel.find_brain)
        wait_until(qtbot, lambda: "Finding the brain in T1" in desk.case.jobs.stage.text())
        qtbot.mouseClick(desk.case.jobs.cancel, Qt.MouseButton.LeftButton)
        wait(qtbot, desk)
        assert "was cancelled" in desk.case.jobs.notices.text()
        patched.setattr(skull_stripping, "skull_strip", fails)
        click(qtbot, panel.find_brain)
        wait(qtbot, desk)
        assert "could not be told" in desk.case.error.text()
    assert model.case is whole

    click(qtbot, panel.find_brain)
    wait(qtbot, desk)
    case = model.case
    assert dice(case.brain, head[1]) > 0.94
    assert "brain mask (" in panel.notice.text()
    assert desk.case.error.text() == ""
    (outline,) = plugin_layers(desk.viewer, "brain")
    np.testing.assert_array_equal(outline.data > 0, case.brain)
    assert (outline.contour, outline.visible, outline.editable) == (1, True, False)
    np.testing.assert_allclose(outline.scale, case.grid.scale)
    # What was looked at is looked at still.
    assert desk.viewer.dims.current_step[0] == 20
    assert [la.name for la in desk.session.layers.modalities() if la.visible] == ["T2"]
    assert outline.name not in [desk.finetune.labels.itemText(k) for k in range(9)]

    desk.session.segmentation.segment()
    wait(qtbot, desk)
    seen = model.segmentation.model_input
    assert seen.foreground.sum() * seen.grid.voxel_ml == pytest.approx(
        case.brain.sum() * case.grid.voxel_ml, rel=0.1
    )

    click(qtbot, panel.remove_mask)
    wait(qtbot, desk)
    assert model.case.brain is None
    assert model.case.images is whole.images
    assert model.case.notices == whole.notices
    assert model.segmentation is None
    assert plugin_layers(desk.viewer, "brain") == []
    assert panel.find_brain.isVisibleTo(desk.case)


def test_offered_where_it_is_needed_alone_and_found_while_opening(
    loaded: Workbench, head: tuple[Path, np.ndarray], qtbot: QtBot
) -> None:
    desk, panel = loaded, loaded.case.brain
    assert panel.notice.text() == ""
    assert not panel.find_brain.isVisibleTo(desk.case)
    desk.session.skull_stripping.enabled = False
    desk.case.open(head[0])
    wait(qtbot, desk)
    assert panel.notice.text() == ""
    desk.session.skull_stripping.enabled = True
    desk.session.cases.open(head[0], find_brain=brain_mask)
    wait(qtbot, desk)
    assert desk.session.model.case.brain is not None
    assert len(plugin_layers(desk.viewer, "brain")) == 1
    click(qtbot, panel.remove_mask)
    wait(qtbot, desk)
    assert panel.find_brain.isVisibleTo(desk.case)
    assert "show skull" in panel.notice.text()

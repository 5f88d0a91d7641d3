"""DICOM and PET/CT in the window, with real clicks."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox

from helpers.dicom_files import PET, positions, tracer, write_series
from napari_ciml.cases.geometry import Grid
from napari_ciml.widgets.workbench import Workbench

pytestmark = pytest.mark.window(shown=False)

GRID = Grid((16, 14, 12), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))


def wait(qtbot: QtBot, desk: Workbench) -> None:
    qtbot.waitUntil(lambda: not desk.session.jobs.main.busy, timeout=60000)


def pick(qtbot: QtBot, box: QComboBox, text: str) -> None:
    """Choose an entry by keys, as a user does."""
    box.setFocus()
    for _ in range(abs(box.findText(text) - box.currentIndex())):
        down = box.findText(text) > box.currentIndex()
        qtbot.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)


def test_series_are_listed_proposed_and_chosen_otherwise(
    desk: Workbench, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "head"
    for number, name in enumerate(["FLAIR", "T1", "T1 POST", "T2", "ADC", "T1 POST sag"], 1):
        values = positions(GRID) + 10 * number
        write_series(folder, GRID, values, number=number, SeriesDescription=name)
    desk.case.open(folder)
    wait(qtbot, desk)
    table = desk.case.files
    assert table.rowCount() == 6
    shown = [table.item(row, 1).text() for row in range(6)]
    assert shown[0].startswith("Series 1 (FLAIR)\n16 x 14 x 12")
    assert "values" in shown[0]
    assert "left out: apparent diffusion coefficients" in shown[4]
    assert "left out: could be T1CE as well" in shown[5]
    assert [layer.name for layer in desk.viewer.layers][:4] == ["T2", "T1CE", "T1", "FLAIR"]
    assert desk.viewer.layers["T1CE"].data.min() == 30

    pick(qtbot, table.cellWidget(2, 0), "leave out")
    pick(qtbot, table.cellWidget(5, 0), "T1CE")
    qtbot.mouseClick(desk.case.load, Qt.MouseButton.LeftButton)
    wait(qtbot, desk)
    assert desk.viewer.layers["T1CE"].data.min() == 60


def test_pet_in_inverted_grey_and_ct_with_windows(
    desk: Workbench, tmp_path: Path, qtbot: QtBot
) -> None:
    radio = {"RadiopharmaceuticalInformationSequence": tracer()}
    write_series(tmp_path / "s", GRID, positions(GRID) - 1000, "CT", 1, SeriesDescription="CT")
    write_series(tmp_path / "s", GRID, positions(GRID) * 5, "PT", 2, **PET, **radio)
    desk.case.open(tmp_path / "s")
    wait(qtbot, desk)
    pet, ct = desk.viewer.layers["PET"], desk.viewer.layers["CT"]
    assert (pet.colormap.name, pet.contrast_limits) == ("gray_r", [0, 10])
    assert ct.contrast_limits == [-160, 240]
    assert (pet.visible, ct.visible) == (True, False)
    np.testing.assert_allclose(pet.data.max(), positions(GRID).max() * 5 * 3.651592e-4, rtol=1e-5)
    view = desk.view
    assert view.window_label.text() == "Window of PET"
    pick(qtbot, view.colours, "hot")
    assert pet.colormap.name == "hot"
    pick(qtbot, view.windows, "SUV 0 to 5")
    assert pet.contrast_limits == [0, 5]
    qtbot.mouseClick(view.buttons["Next modality"], Qt.MouseButton.LeftButton)
    assert (pet.visible, ct.visible) == (False, True)
    assert view.window_label.text() == "Window of CT"
    assert not view.colours.isVisibleTo(view)
    pick(qtbot, view.windows, "bone")
    assert ct.contrast_limits == [-500, 1300]
    pick(qtbot, view.windows, "brain")
    assert ct.contrast_limits == [0, 80]
    assert desk.session.model.decomposition.name == "autopet"
    texts = [desk.case.files.item(row, 1).text() for row in range(2)]
    assert any(text.endswith("SUV") for text in texts)
    assert any(text.endswith("HU") for text in texts)


def test_without_weight_a_pet_is_shown_in_bq_and_not_segmented(
    desk: Workbench, tmp_path: Path, qtbot: QtBot
) -> None:
    radio = {"RadiopharmaceuticalInformationSequence": tracer()}
    tags = {key: value for key, value in PET.items() if key != "PatientWeight"}
    write_series(tmp_path / "s", GRID, positions(GRID) - 1000, "CT", 1, SeriesDescription="CT")
    write_series(tmp_path / "s", GRID, positions(GRID) * 5, "PT", 2, **tags, **radio)
    desk.case.open(tmp_path / "s")
    wait(qtbot, desk)
    _, high = desk.viewer.layers["PET"].contrast_limits
    assert high > 10_000
    assert "PET is shown in Bq/mL: the patient's weight is not told." in desk.case.notices.text()
    qtbot.mouseClick(desk.segment.run, Qt.MouseButton.LeftButton)
    wait(qtbot, desk)
    assert "wants SUV" in desk.segment.error.text()
    assert desk.session.model.segmentation is None

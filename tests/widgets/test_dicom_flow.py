"""DICOM and PET/CT in the window, with real clicks."""

from pathlib import Path

import numpy as np
from pytestqt.qtbot import QtBot

from helpers.dicom_files import PET, positions, tracer, write_series
from helpers.gui import choose_by_keys, click, wait
from napari_ciml.cases.geometry import Grid
from napari_ciml.widgets.workbench import Workbench

GRID = Grid((16, 14, 12), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))


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
    assert "ignored: apparent diffusion coefficients" in shown[4]
    assert "ignored: could be T1CE as well" in shown[5]
    assert [layer.name for layer in desk.viewer.layers][:4] == ["T2", "T1CE", "T1", "FLAIR"]
    assert desk.viewer.layers["T1CE"].data.min() == 30

    choose_by_keys(qtbot, table.cellWidget(2, 0), "ignore")
    choose_by_keys(qtbot, table.cellWidget(5, 0), "T1CE")
    click(qtbot, desk.case.load)
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
    choose_by_keys(qtbot, view.colours, "hot")
    assert pet.colormap.name == "hot"
    choose_by_keys(qtbot, view.windows, "SUV 0 to 5")
    assert pet.contrast_limits == [0, 5]
    click(qtbot, view.buttons["Next modality"])
    assert (pet.visible, ct.visible) == (False, True)
    assert view.window_label.text() == "Window of CT"
    assert not view.colours.isVisibleTo(view)
    choose_by_keys(qtbot, view.windows, "bone")
    assert ct.contrast_limits == [-500, 1300]
    choose_by_keys(qtbot, view.windows, "brain")
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
    assert "PET is shown in Bq/mL: the patient's weight is missing." in desk.case.notices.text()
    click(qtbot, desk.segment.run)
    wait(qtbot, desk)
    assert "requires SUV" in desk.segment.error.text()
    assert desk.session.model.segmentation is None

"""Export, save, open again: with real clicks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from helpers.cases import write_case
from helpers.dicom_series import AXIAL, write_series
from helpers.gui import LEFT, click_and_wait, wait, wait_until
from napari_ciml.cases.formats.volumes import read_header
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.layers.metadata import plugin_layers
from napari_ciml.widgets.workbench import Workbench


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that the dialogs are answered with, in turn."""
    given: list[Path] = []
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_, **__: str(given.pop(0)) if given else ""
    )
    return given


def shown_maps(desk: Workbench) -> list[Layer]:
    return [layer for layer in plugin_layers(desk.viewer, "map") if layer.visible]


def stand(desk: Workbench) -> dict[str, Any]:
    """Return what a session is to bring back."""
    model, layers = desk.session.model, desk.session.layers
    return {
        "images": {name: image.copy() for name, image in model.case.images.items()},
        "reference": model.case.reference,
        "modalities": model.sources.modalities,
        "asked": model.request,
        "edits": (model.undo_stack.past, model.undo_stack.future),
        "live": desk.session.live.on,
        "grid": model.grid,
        "marks": model.findings.marks,
        "questions": [one.name for one in desk.session.explanation.answered],
        "map": desk.session.explanation.to_state(),
        "map layer": [(la.name, la.data.copy(), la.opacity) for la in shown_maps(desk)],
        "checkpoint": model.checkpoint,
        "device": model.device,
        "labels": model.segmentation.label_map,
        "probabilities": model.segmentation.probabilities,
        "weights": model.explanation.weights,
        "maps": dict(model.explanation.maps),
        "painted": [
            (p.name, p.labels, p.current) for p in view_state.edited_label_maps(layers, model.case)
        ],
        "looks": view_state.layer_appearances(layers, model.case, desk.session.display.layouts),
        "view": view_state.camera_state(desk.viewer, desk.session.display.layouts),
    }


def test_export_with_clicks(
    segmented: Workbench, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    export = segmented.export
    assert not export.kinds["maps"].isEnabled()
    write_series(tmp_path / "series", AXIAL)
    answers += [tmp_path / "series", tmp_path / "out"]
    click_and_wait(qtbot, segmented, export.choose_series)
    click_and_wait(qtbot, segmented, export.kinds["probabilities"])
    qtbot.keyClicks(export.subject, "Case 7")
    # Somebody has painted: that is what leaves.
    layer = segmented.viewer.layers["segmentation"]
    painted = np.full_like(layer.data, 2)
    painted[5, 5, 5] = 0
    layer.data = painted
    click_and_wait(qtbot, segmented, export.export)
    assert "The correction has 1 issue" in export.summary.text()
    assert "WT: hole of 1 voxel" in export.summary.text()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"segmentation.nii.gz", "probability_WT.nii.gz", "segmentation.dcm"} <= names
    assert {"volumes.csv", "summary.json", "report.html", "report.pdf"} <= names
    assert f"{len(names)} files written to" in export.summary.text()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Case 7" in report
    assert "corrected by hand" in report
    volume = segmented.session.model.case.grid.voxel_ml * (layer.data.size - 1)
    assert f"WT,{round(volume, 3)}," in (tmp_path / "out" / "volumes.csv").read_text()
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert told["grid_modality"] == "FLAIR"


def test_results_on_the_voxels_of_another_modality(
    desk: Workbench, case_folder: Path, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    thick = Grid((40, 36, 14), (3.5, 3.5, 9.0), (-68.0, -58.0, -47.0))
    write_case(case_folder, thick, names="t2")
    desk.case.open(case_folder)
    wait(qtbot, desk)
    click_and_wait(qtbot, desk, desk.segment.run)
    grid = desk.export.grid.native
    assert [grid.itemText(k) for k in range(grid.count())] == ["FLAIR", "T1", "T1CE", "T2"]
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_End)
    answers.append(tmp_path / "out")
    click_and_wait(qtbot, desk, desk.export.export)
    written = read_header(tmp_path / "out" / "segmentation.nii.gz").grid
    assert written.is_close(read_header(case_folder / "case_t2.nii.gz").grid)
    # Another case begins with its own reference.
    desk.case.open(write_case(tmp_path / "other", thick))
    wait(qtbot, desk)
    assert grid.currentText() == "FLAIR"
    assert desk.session.model.grid is None


def test_what_cannot_be_exported_is_said(
    segmented: Workbench, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "empty").mkdir()
    answers += [tmp_path / "empty", tmp_path / "out"]
    click_and_wait(qtbot, segmented, segmented.export.choose_series)
    click_and_wait(qtbot, segmented, segmented.export.export)
    assert "holds no DICOM files" in segmented.export.error.text()


def test_a_session_is_opened_as_it_was(
    segmented: Workbench, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    desk, viewer, model = segmented, segmented.viewer, segmented.session.model
    desk.session.live.set_on(False)
    click_and_wait(qtbot, desk, desk.explain.run)
    click_and_wait(qtbot, desk, desk.segment.postprocess)
    model.set_decomposition(PRESETS["fig3"])
    model.set_threshold("WT", 0.35)  # nothing has followed it yet
    model.set_threshold("TC", 0.4)
    model.undo()
    desk.export.grid.native.setCurrentText("T2")
    layer = viewer.layers["segmentation"]
    layer.data[5:9, 5:9, 5:9] = 4
    layer.refresh()
    desk.session.explanation.one_voxel = True
    desk.session.explanation.ask_at((6, 6, 6))
    wait(qtbot, desk)
    row = desk.explain.weights.visualItemRect(desk.explain.weights.item(2, 0)).center()
    qtbot.mouseClick(desk.explain.weights.viewport(), LEFT, pos=row)
    desk.explain.opacity.setValue(35)
    desk.session.label_maps.choose(layer)
    wait_until(qtbot, lambda: not desk.session.jobs.measure.busy)
    desk.lesions.lesions.setCurrentCell(0, 1)
    click_and_wait(qtbot, desk, desk.lesions.next)
    viewer.layers["T2"].contrast_limits = (120.0, 555.5)
    viewer.layers["T2"].visible = True
    viewer.layers["T1"].gamma = 0.7
    viewer.dims.set_current_step(0, 13)
    viewer.scene.camera.zoom = 5.25
    wait(qtbot, desk)
    before = stand(desk)
    assert before["map layer"]
    assert before["marks"]
    answers += [tmp_path / "session", tmp_path / "session"]
    click_and_wait(qtbot, desk, desk.export.save)
    assert "saved in" in desk.export.summary.text()

    # Something else happens in between.
    viewer.layers["T2"].visible = False
    layer.data = np.zeros_like(layer.data)
    click_and_wait(qtbot, desk, desk.segment.postprocess)
    model.set_decomposition(PRESETS["brats2020"])
    desk.explain.opacity.setValue(90)
    click_and_wait(qtbot, desk, desk.explain.hide_map)
    viewer.scene.camera.zoom = 1.0
    click_and_wait(qtbot, desk, desk.export.open)
    assert not desk.export.error.text()
    after = stand(desk)
    for name, value in before.items():
        if name == "painted":
            continue
        np.testing.assert_equal(after[name], value, err_msg=name)
    (one,) = [painted for painted in after["painted"] if painted[2]]
    np.testing.assert_array_equal(one[1], before["painted"][0][1])
    assert not desk.segment.postprocess.isChecked()
    assert desk.explain.weights.rowCount() == len(desk.session.explanation.shown.weights)
    assert desk.explain.weights.currentRow() == 2
    assert desk.explain.opacity.value() == 35
    assert desk.export.grid.native.currentText() == "T2"
    assert desk.decomposition.sliders.sliders["WT"].value() == 35
    assert not desk.decomposition.live.isChecked()
    wait_until(qtbot, lambda: not desk.session.jobs.measure.busy)
    click_and_wait(qtbot, desk, desk.decomposition.redo)
    assert model.request.options.thresholds == {"WT": 0.35, "TC": 0.4}
    for _ in range(3):
        click_and_wait(qtbot, desk, desk.decomposition.undo)
    assert model.decomposition.name == "brats2020"
    seen = [model.findings.seen(one) for one in model.findings.review_queue()]
    assert seen.count(True) == 1


@pytest.mark.parametrize(
    ("arrangement", "laid_over"),
    [
        ("panes", "disagreement of WT"),
        pytest.param("planes", "difference in WT", marks=pytest.mark.window),
    ],
)
def test_a_session_is_arranged_and_compared_as_it_was(
    segmented: Workbench,
    answers: list[Path],
    tmp_path: Path,
    qtbot: QtBot,
    arrangement: str,
    laid_over: str,
) -> None:
    desk, viewer, model = segmented, segmented.viewer, segmented.session.model
    arranging, measuring = desk.session.display.layouts, desk.session.label_maps

    def arrange(wanted: str) -> None:
        arranging.arrange(wanted)
        wait_until(qtbot, lambda: not arranging.busy)

    def looked_at() -> list[str]:
        return sorted(layer.name for layer in viewer.layers if layer.visible)

    view_state.add_correction(viewer, model.case, model.segmentation.label_map // 2, (), "mine")
    measuring.choose_named("mine")
    desk.compare.references.setCurrentText("segmentation")
    desk.compare.references.activated.emit(desk.compare.references.currentIndex())
    wait_until(qtbot, lambda: model.findings.comparison is not None)
    if laid_over.startswith("difference"):
        desk.compare.scores.setCurrentCell(0, 0)
    else:
        desk.lesions.region.setCurrentText("WT")
        click_and_wait(qtbot, desk, desk.lesions.show_uncertainty)
    viewer.scene.camera.zoom = 2.5
    alone = looked_at()
    assert laid_over in alone
    arrange(arrangement)
    scores = model.findings.comparison.scores
    answers += [tmp_path / "session", tmp_path / "session"]
    click_and_wait(qtbot, desk, desk.export.save)

    arrange("single")
    zoom = viewer.scene.camera.zoom
    click_and_wait(qtbot, desk, desk.segment.postprocess)
    desk.session.reference_comparison.compare_with(None)
    measuring.choose_named("segmentation")
    viewer.scene.camera.zoom = 1.0
    click_and_wait(qtbot, desk, desk.export.open)
    assert not desk.export.error.text()
    wait_until(qtbot, lambda: not arranging.busy)
    assert arranging.current == arrangement
    assert measuring.name == "mine"
    assert model.findings.reference.name == "segmentation"
    wait_until(qtbot, lambda: model.findings.comparison is not None)
    assert repr(model.findings.comparison.scores) == repr(scores)
    assert desk.compare.scores.currentRow() == (0 if laid_over.startswith("difference") else -1)
    arrange("single")
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
    assert looked_at() == alone


def test_a_changed_image_is_told_and_what_is_open_stays(
    segmented: Workbench, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    answers += [tmp_path / "session", tmp_path / "session"]
    click_and_wait(qtbot, segmented, segmented.export.save)
    case = segmented.session.model.case
    with case.sources["T2"].path.open("ab") as file:
        file.write(b"\0")
    click_and_wait(qtbot, segmented, segmented.export.open)
    assert "has changed since the session was saved" in segmented.export.error.text()
    assert segmented.session.model.case is case

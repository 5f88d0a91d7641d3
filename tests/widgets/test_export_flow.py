"""Export, save, open again: with real clicks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QFileDialog, QWidget

from dicom_series import AXIAL, write_series
from napari_ciml.presets import PRESETS
from napari_ciml.widgets import standing
from napari_ciml.widgets.desk import Desk

LEFT = Qt.MouseButton.LeftButton


def wait(qtbot: QtBot, desk: Desk) -> None:
    qtbot.waitUntil(lambda: not desk.session.runner.busy, timeout=60000)


def click(qtbot: QtBot, desk: Desk, widget: QWidget) -> None:
    place = QPoint(8, widget.height() // 2) if isinstance(widget, QCheckBox) else QPoint()
    qtbot.mouseClick(widget, LEFT, pos=place)
    wait(qtbot, desk)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that the dialogs are answered with, in turn."""
    given: list[Path] = []
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_, **__: str(given.pop(0)) if given else ""
    )
    return given


@pytest.fixture
def segmented(loaded: Desk, qtbot: QtBot) -> Desk:
    click(qtbot, loaded, loaded.segment.run)
    return loaded


def stand(desk: Desk) -> dict[str, Any]:
    """Return what a session is to bring back."""
    review, layers = desk.session.review, desk.session.layers
    return {
        "images": {name: image.copy() for name, image in review.case.images.items()},
        "reference": review.case.reference,
        "modalities": review.modalities,
        "decomposition": review.decomposition,
        "checkpoint": review.checkpoint,
        "device": review.device,
        "clean": review.clean,
        "labels": review.segmentation.label_map,
        "probabilities": review.segmentation.probabilities,
        "weights": review.explanation.weights,
        "maps": dict(review.explanation.maps),
        "painted": [(p.name, p.labels, p.current) for p in standing.painted(layers, review.case)],
        "looks": standing.looks(layers, review.case),
        "view": standing.view(desk.viewer),
    }


def test_export_with_clicks(
    segmented: Desk, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    export = segmented.export
    assert not export.kinds["maps"].isEnabled()
    write_series(tmp_path / "series", AXIAL)
    answers += [tmp_path / "series", tmp_path / "out"]
    click(qtbot, segmented, export.choose_series)
    click(qtbot, segmented, export.kinds["probabilities"])
    qtbot.keyClicks(export.subject, "Case 7")
    # Somebody has painted: that is what leaves.
    layer = segmented.viewer.layers["segmentation"]
    layer.data = np.full_like(layer.data, 2)
    click(qtbot, segmented, export.export)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"segmentation.nii.gz", "probability_WT.nii.gz", "segmentation.dcm"} <= names
    assert {"volumes.csv", "summary.json", "report.html", "report.pdf"} <= names
    assert f"{len(names)} files are in" in export.done.text()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Case 7" in report
    assert "corrected by hand" in report
    volume = segmented.session.review.case.grid.voxel_ml * layer.data.size
    assert f"WT,{round(volume, 3)}," in (tmp_path / "out" / "volumes.csv").read_text()


def test_what_cannot_be_exported_is_said(
    segmented: Desk, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "empty").mkdir()
    answers += [tmp_path / "empty", tmp_path / "out"]
    click(qtbot, segmented, segmented.export.choose_series)
    click(qtbot, segmented, segmented.export.export)
    assert "holds no DICOM files" in segmented.export.error.text()


def test_a_session_is_opened_as_it_was(
    segmented: Desk, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    desk, viewer, review = segmented, segmented.viewer, segmented.session.review
    desk.session.live.set_on(False)
    click(qtbot, desk, desk.explain.run)
    click(qtbot, desk, desk.segment.clean)
    review.set_decomposition(PRESETS["fig3"])
    layer = viewer.layers["segmentation"]
    layer.data[5:9, 5:9, 5:9] = 4
    layer.refresh()
    viewer.layers["T2"].contrast_limits = (120.0, 555.5)
    viewer.layers["T2"].visible = True
    viewer.layers["T1"].gamma = 0.7
    viewer.dims.set_current_step(0, 13)
    viewer.scene.camera.zoom = 5.25
    before = stand(desk)
    answers += [tmp_path / "session", tmp_path / "session"]
    click(qtbot, desk, desk.export.save)
    assert "saved in" in desk.export.done.text()

    # Something else happens in between.
    viewer.layers["T2"].visible = False
    layer.data = np.zeros_like(layer.data)
    click(qtbot, desk, desk.segment.clean)
    review.set_decomposition(PRESETS["brats2020"])
    viewer.scene.camera.zoom = 1.0
    click(qtbot, desk, desk.export.open)
    assert not desk.export.error.text()
    after = stand(desk)
    for name, value in before.items():
        if name == "painted":
            continue
        np.testing.assert_equal(after[name], value, err_msg=name)
    (one,) = [painted for painted in after["painted"] if painted[2]]
    np.testing.assert_array_equal(one[1], before["painted"][0][1])
    assert not desk.segment.clean.isChecked()
    assert desk.explain.weights.rowCount() == 18


def test_a_changed_image_is_told_and_what_is_open_stays(
    segmented: Desk, answers: list[Path], tmp_path: Path, qtbot: QtBot
) -> None:
    answers += [tmp_path / "session", tmp_path / "session"]
    click(qtbot, segmented, segmented.export.save)
    case = segmented.session.review.case
    with case.sources["T2"].path.open("ab") as file:
        file.write(b"\0")
    click(qtbot, segmented, segmented.export.open)
    assert "has changed since the session was saved" in segmented.export.error.text()
    assert segmented.session.review.case is case

"""The history of runs, comparing, sensitivity, and asking why, with real clicks."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, current_thread, main_thread

import numpy as np
import pytest
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt, QUrl
from qtpy.QtWidgets import QFileDialog

from helpers.gui import LEFT, canvas, click, run_segment, wait, wait_until
from helpers.waiting import PATIENCE
from napari_ciml.decomposition.model import Pair
from napari_ciml.files import read_table
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import WeightStatistics
from napari_ciml.widgets.layers.metadata import metadata_of
from napari_ciml.widgets.workbench import Workbench


def made(desk: Workbench, kind: str) -> list[Layer]:
    return [la for la in desk.viewer.layers if getattr(metadata_of(la), "kind", "") == kind]


def shift_click(qtbot: QtBot, desk: Workbench, voxel: tuple[int, int, int]) -> None:
    """Click where a voxel lies on the canvas, with Shift held."""
    viewer = desk.viewer
    grid = desk.session.model.case.grid
    viewer.dims.set_current_step(0, voxel[0])
    viewer.scene.camera.center = tuple(
        first + k * mm for k, mm, first in zip(voxel, grid.scale, grid.translate, strict=True)
    )
    qtbot.wait(50)
    widget = canvas(desk)
    middle = QPoint(widget.width() // 2, widget.height() // 2)
    qtbot.mouseClick(widget, LEFT, Qt.KeyboardModifier.ShiftModifier, middle)
    wait(qtbot, desk)


@pytest.fixture
def two_runs(segmented: Workbench, qtbot: QtBot) -> Iterator[Workbench]:
    segmented.decomposition.sliders.sliders["WT"].setValue(40)
    wait(qtbot, segmented)
    return segmented


def test_back_to_a_named_run(two_runs: Workbench, qtbot: QtBot) -> None:
    model, dock = two_runs.session.model, two_runs.runs
    first, second = model.runs
    assert dock.runs.item(1, 0).text() == "2: WT threshold 0.40"
    assert not dock.restore.isEnabled()
    dock.runs.item(0, 0).setText("as it was")
    assert model.runs[0].name == "as it was"
    cell = dock.runs.visualItemRect(dock.runs.item(0, 0)).center()
    qtbot.mouseClick(dock.runs.viewport(), LEFT, pos=cell)
    click(qtbot, dock.restore)
    wait(qtbot, two_runs)
    assert model.segmentation is first.segmentation
    assert model.request.options.thresholds == {}
    assert two_runs.decomposition.sliders.sliders["WT"].value() == 50
    labels = two_runs.viewer.layers["segmentation"].data
    np.testing.assert_array_equal(labels, first.segmentation.label_map)
    assert two_runs.decomposition.change.summary.text().endswith(
        "(compared with 2: WT threshold 0.40)"
    )
    assert len(model.runs) == 2
    click(qtbot, two_runs.decomposition.undo)
    wait(qtbot, two_runs)
    assert model.segmentation is second.segmentation


def test_two_runs_as_contours(two_runs: Workbench, qtbot: QtBot) -> None:
    dock, runs = two_runs.runs, two_runs.session.model.runs
    dock.runs.selectAll()
    assert dock.compare.isEnabled()
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    layers = made(two_runs, "compared")
    assert [layer.name for layer in layers] == [f"WT in {run.name}" for run in runs]
    for layer, run in zip(layers, runs, strict=True):
        assert layer.contour > 0
        assert layer.visible
        np.testing.assert_array_equal(layer.data > 0, run.segmentation.label_map > 0)
    assert not two_runs.viewer.layers["segmentation"].visible
    volumes = [run.segmentation.volumes_ml["WT"] for run in runs]
    assert [dock.scores.item(0, k).text() for k in (1, 2)] == [f"{ml:.1f}" for ml in volumes]
    dock.region.setCurrentText("ET")
    assert [layer.name for layer in made(two_runs, "compared")] == layers_of("ET", runs)
    click(qtbot, dock.end)
    assert not any(layer.visible for layer in layers)
    assert two_runs.viewer.layers["segmentation"].visible


def test_two_runs_side_by_side(two_runs: Workbench, qtbot: QtBot) -> None:
    dock, runs, viewer = two_runs.runs, two_runs.session.model.runs, two_runs.viewer
    arranging, grid = two_runs.session.display.layouts, viewer.canvas.grid
    zoom, before = viewer.scene.camera.zoom, [layer.name for layer in viewer.layers]
    dock.runs.selectAll()
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    contours = made(two_runs, "compared")

    def press() -> None:
        place = QPoint(8, dock.side_by_side.height() // 2)
        qtbot.mouseClick(dock.side_by_side, LEFT, pos=place)
        wait_until(qtbot, lambda: not arranging.busy)

    press()
    assert grid.enabled
    for pane, run in enumerate(runs):
        inside = [viewer.layers[k] for k in grid.contents_at((0, pane), viewer.layers)]
        image, labels = (layer for layer in inside if layer.visible)
        np.testing.assert_array_equal(image.data, viewer.layers["FLAIR"].data)
        np.testing.assert_array_equal(labels.data, run.segmentation.label_map)
        assert (labels.name, labels.contour) == (run.name, 0)
    assert viewer.scene.camera.zoom == pytest.approx(zoom / 2)
    assert viewer.layers.selection.active is viewer.layers["FLAIR"]
    assert arranging.current == "single"
    state = two_runs.session.persistence.snapshot()
    assert state.camera.zoom == pytest.approx(zoom)
    press()
    assert not grid.enabled
    assert all(layer.visible for layer in contours)
    assert sum(layer.visible for layer in made(two_runs, "compared")) == 2
    press()
    click(qtbot, dock.end)
    wait_until(qtbot, lambda: not arranging.busy)
    assert not grid.enabled
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
    ours = [layer.name for layer in viewer.layers if layer not in made(two_runs, "compared")]
    assert ours == before
    assert {la.name for la in viewer.layers if la.visible} >= {"FLAIR", "segmentation"}
    assert not any(layer.visible for layer in made(two_runs, "compared"))
    # Another modality, or another arrangement, takes its place.
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    press()
    two_runs.session.display.next_modality()
    wait_until(qtbot, lambda: not grid.enabled and not arranging.busy)
    assert [la.name for la in made(two_runs, "modality") if la.visible] == ["T1"]
    assert not dock.side_by_side.isChecked()
    click(qtbot, dock.end)
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    press()
    arranging.toggle("panes")
    wait_until(qtbot, lambda: not arranging.busy)
    assert arranging.current == "panes"
    assert not dock.side_by_side.isChecked()
    assert sum(layer.visible for layer in made(two_runs, "compared")) == 2


@pytest.mark.parametrize("beside", [False, True])
def test_a_session_compares_what_it_compared(
    two_runs: Workbench, qtbot: QtBot, tmp_path: Path, beside: bool
) -> None:
    session, dock, viewer = two_runs.session, two_runs.runs, two_runs.viewer
    dock.runs.selectAll()
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    dock.region.setCurrentText("TC")
    if beside:
        qtbot.mouseClick(dock.side_by_side, LEFT, pos=QPoint(8, dock.side_by_side.height() // 2))
        wait_until(qtbot, lambda: not session.display.layouts.busy)
    session.model.runs.rename(session.model.runs[0], "first")

    def seen() -> list[str]:
        return sorted(layer.name for layer in viewer.layers if layer.visible)

    before, zoom = seen(), viewer.scene.camera.zoom
    session.persistence.save(tmp_path / "session")
    wait(qtbot, two_runs)
    click(qtbot, dock.end)
    wait_until(qtbot, lambda: not session.display.layouts.busy)
    assert seen() != before
    session.persistence.open(tmp_path / "session")
    wait(qtbot, two_runs)
    wait_until(qtbot, lambda: session.run_comparison.pair is not None)
    wait_until(qtbot, lambda: not session.display.layouts.busy)
    assert session.run_comparison.pair[0].name == "first"
    assert dock.side_by_side.isChecked() is beside
    assert dock.region.currentText() == "TC"
    assert viewer.canvas.grid.enabled is beside
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
    renamed = [name.replace("1: brats2020", "first") for name in before]
    assert seen() == sorted(renamed)


def test_what_comes_between_two_runs_ends_side_by_side(two_runs: Workbench, qtbot: QtBot) -> None:
    dock, viewer, looking = two_runs.runs, two_runs.viewer, two_runs.session.display
    dock.runs.selectAll()
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)

    def beside() -> None:
        qtbot.mouseClick(dock.side_by_side, LEFT, pos=QPoint(8, dock.side_by_side.height() // 2))
        wait_until(qtbot, lambda: not looking.layouts.busy)
        assert dock.side_by_side.isChecked()

    def ended() -> bool:
        return not (dock.side_by_side.isChecked() or looking.layouts.busy)

    beside()
    mine = viewer.add_labels(np.ones((4, 4, 4), np.uint8), name="mine")
    wait_until(qtbot, ended)
    assert not viewer.canvas.grid.enabled
    assert mine.visible
    beside()
    looking.toggle_3d()
    wait_until(qtbot, ended)
    assert viewer.dims.ndisplay == 3
    assert not viewer.canvas.grid.enabled


def test_hidden_contours_are_hung_when_they_are_shown(two_runs: Workbench, qtbot: QtBot) -> None:
    dock, arranging = two_runs.runs, two_runs.session.display.layouts
    dock.runs.selectAll()
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    contours = made(two_runs, "compared")
    click(qtbot, dock.end)
    arranging.toggle("panes")
    wait_until(qtbot, lambda: not arranging.busy)

    def hung() -> int:
        names = tuple(layer.name for layer in contours)
        return sum(layer.name.startswith(names) for layer in two_runs.viewer.layers)

    assert hung() == 2
    click(qtbot, dock.compare)
    wait(qtbot, two_runs)
    wait_until(qtbot, lambda: hung() == 8 and not arranging.busy)
    assert two_runs.viewer.canvas.grid.enabled


def test_a_run_of_the_history_is_compared_with(
    two_runs: Workbench, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock, findings = two_runs.compare, two_runs.session.model.findings
    first, second = two_runs.session.model.runs
    names = [dock.references.itemText(k) for k in range(dock.references.count())]
    assert first.name in names
    assert second.name not in names
    dock.references.setCurrentText(first.name)
    dock.references.activated.emit(dock.references.currentIndex())
    wait_until(qtbot, lambda: findings.comparison is not None)
    assert dock.references.currentText() == first.name
    maps = [one.segmentation.label_map > 0 for one in (second, first)]
    assert findings.comparison.scores[0].dice == pytest.approx(dice(*maps))
    file = tmp_path / "scores.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file), ""))
    click(qtbot, dock.save)
    saved = read_table(file)
    assert [row["region"] for row in saved] == ["WT", "TC", "ET"]
    assert float(saved[0]["dice"]) == pytest.approx(dice(*maps))


def layers_of(region: str, runs: object) -> list[str]:
    return [f"{region} in {run.name}" for run in runs]


def test_sensitivity_on_request_and_cancelled(
    segmented: Workbench, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ciml.explanation import sensitivity as module

    panel = segmented.runs.sensitivity
    begun = Event()

    def endless(*arguments: object) -> None:
        while True:
            begun.set()
            arguments[-1].step("Muting", 1, 8)

    with monkeypatch.context() as patch:
        patch.setattr(module, "sensitivity", endless)
        click(qtbot, panel.run)
        assert begun.wait(PATIENCE)
        wait_until(qtbot, lambda: "Muting" in panel.jobs.stage.text())
        click(qtbot, panel.jobs.cancel)
        wait(qtbot, segmented)
    assert "cancelled" in panel.jobs.notices.text()
    assert panel.effects.isHidden()
    before = segmented.session.model.segmentation
    click(qtbot, panel.run)
    wait(qtbot, segmented)
    assert panel.effects.rowCount() == 12
    file = tmp_path / "costs"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file), ""))
    click(qtbot, panel.save)
    saved = read_table(file.with_suffix(".csv"))
    assert list(saved[0]) == ["primary", "auxiliary", "region", "change_ml", "dice"]
    assert len(saved) == 12 * 3
    first = panel.effects.item(0, 0).text()
    assert first == f"{saved[0]['auxiliary']} to {saved[0]['primary']}"
    assert segmented.session.model.segmentation is before
    assert len(segmented.session.model.runs) == 1


@pytest.mark.window
def test_a_shift_click_asks_why_and_is_kept(segmented: Workbench, qtbot: QtBot) -> None:
    session, dock = segmented.session, segmented.explain
    layer = segmented.viewer.layers["segmentation"]
    labels = np.zeros_like(session.model.segmentation.label_map)
    labels[20:24, 20:26, 18:22] = 4
    layer.data = labels
    shift_click(qtbot, segmented, (22, 22, 20))
    assert dock.error.text() == ""
    (question,) = session.explanation.answered
    assert question.name == "ET at (20, 22, 22)"
    assert {pair for pair, _ in question.explanation.weights} == {Pair("T1CE", "ET")}
    assert dock.weights.rowCount() == 3
    (shown,) = made(segmented, "map")
    pair, auxiliary = question.explanation.strongest
    assert shown.name == f"{auxiliary} for {pair.primary} {pair.region}"
    np.testing.assert_array_equal(shown.data, question.explanation.maps[pair, auxiliary])
    assert segmented.viewer.layers[auxiliary].visible

    dock.questions.scope.setCurrentText("voxel")
    dock.questions.region.setCurrentText("WT")
    shift_click(qtbot, segmented, (22, 22, 20))
    assert [one.name for one in session.explanation.answered][1] == "WT in voxel (20, 22, 22)"
    assert dock.weights.rowCount() == 6
    dock.questions.history.setCurrentRow(1)
    assert dock.weights.rowCount() == 3
    click(qtbot, dock.run)
    wait(qtbot, segmented)
    assert dock.weights.rowCount() == 3
    dock.questions.history.setCurrentRow(0)
    assert dock.weights.rowCount() == 18
    dock.questions.reference.setCurrentText("ET at (20, 22, 22)")
    dock.questions.reference.activated.emit(0)
    last = dock.weights.rowCount() - 1
    weight = question.explanation.weights[Pair("T1CE", "ET"), "T2"]
    assert dock.weights.item(last, 3).text() == f"{weight:.2f}"

    # An edit leaves them: what is asked again can be compared with the answer before.
    asked = session.explanation.answered
    segmented.decomposition.sliders.sliders["WT"].setValue(40)
    wait(qtbot, segmented)
    assert session.explanation.answered == asked
    assert session.explanation.chosen is None
    titles = [dock.questions.history.item(k).text() for k in range(3)]
    assert titles[1:] == [f"{one.name}, 1: brats2020" for one in asked]
    dock.questions.scope.setCurrentText("lesion")
    dock.questions.region.setCurrentText("innermost")
    session.layers.segmentation().data = labels
    shift_click(qtbot, segmented, (22, 22, 20))
    assert [one.name for one in session.explanation.answered][2] == question.name
    dock.questions.reference.setCurrentText(titles[1])
    dock.questions.reference.activated.emit(0)
    assert dock.questions.reference_answer() is question
    click(qtbot, dock.maps)
    window = dock.maps_window
    wait_until(qtbot, lambda: window.other.isVisible() and len(window.other.pictures) == 3)
    assert window.compared.text() == titles[1]
    key = (pair, auxiliary)
    # The map is the same; the region's outline is that of each run.
    other, shown_now = window.other.pictures[key], window.grid.pictures[key]
    outlines = (other == 255).all(axis=-1) | (shown_now == 255).all(axis=-1)
    np.testing.assert_array_equal(other[~outlines], shown_now[~outlines])
    window.close()
    session.model.runs.restore(tuple(session.model.runs)[1:], 0)
    session.model.explanation_changed.emit()
    assert [one.name for one in session.explanation.answered] == [question.name]


@pytest.mark.window(shown=False)
def test_a_click_beside_a_lesion_is_answered_in_words(segmented: Workbench, qtbot: QtBot) -> None:
    layer = segmented.viewer.layers["segmentation"]
    layer.data = np.zeros_like(layer.data)
    shift_click(qtbot, segmented, (22, 22, 20))
    assert "ask about the voxel" in segmented.explain.error.text()
    layer.mode = "paint"
    segmented.viewer.layers.selection.active = layer
    segmented.explain.show_error("")
    shift_click(qtbot, segmented, (22, 22, 20))
    assert segmented.explain.error.text() == ""
    assert segmented.session.explanation.answered == ()


def test_maps_side_by_side(
    segmented: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ciml.cases import lazy_volumes as module

    dock = segmented.explain
    assert not dock.maps.isEnabled()
    click(qtbot, dock.run)
    wait(qtbot, segmented)
    click(qtbot, dock.maps)
    window = dock.maps_window
    wait_until(qtbot, lambda: len(window.grid.pictures) == 18)
    assert window.grid.columns == ["FLAIR", "T1", "T1CE", "T2"]
    assert len(window.grid.pairs) == 6
    pair, auxiliary = Pair("T2", "TC"), "T1"
    before = window.grid.pictures[pair, auxiliary]
    segmented.viewer.dims.set_current_step(0, 12)
    wait_until(qtbot, lambda: window.grid.pictures[pair, auxiliary] is not before)
    middle = window.grid.cell(pair, auxiliary).center().toPoint()
    threads = []
    bring = module.resample

    def heard(*arguments: object, **named: object) -> np.ndarray:
        threads.append(current_thread())
        return bring(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, "resample", heard)
        qtbot.mouseClick(window.grid, LEFT, pos=middle)
        wait(qtbot, segmented)
    assert threads
    assert main_thread() not in threads
    assert dock.weights.currentRow() == dock._rows.index((pair, auxiliary))
    (shown,) = made(segmented, "map")
    assert shown.name == "T1 for T2 TC"
    window.close()


def test_an_unusual_weight_stands_out(
    loaded: Workbench, tiny_checkpoint: Checkpoint, tmp_path: Path, qtbot: QtBot
) -> None:
    usual = (
        WeightStatistics(primary="FLAIR", region="WT", auxiliary="T1", mean=0.9, sd=0.001, cases=9),
        WeightStatistics(primary="FLAIR", region="WT", auxiliary="T2", mean=0.1, sd=9.0, cases=9),
        WeightStatistics(primary="FLAIR", region="WT", auxiliary="T1CE", mean=0.1, sd=9.0, cases=9),
    )
    info = tiny_checkpoint.info.model_copy(update={"weight_statistics": usual})
    save_checkpoint(tmp_path / "usual.safetensors", tiny_checkpoint.network, info)
    loaded.segment.choose(tmp_path / "usual.safetensors")
    click(qtbot, loaded.segment.run)
    wait(qtbot, loaded)
    click(qtbot, loaded.explain.run)
    wait(qtbot, loaded)
    dock = loaded.explain
    assert dock.questions.reference.currentText() == "typical weights"
    dock.questions.reference.setCurrentText("none")
    dock.questions.reference.activated.emit(0)
    assert dock.atypical.text() == ""
    dock.questions.reference.setCurrentText("typical weights")
    dock.questions.reference.activated.emit(1)
    assert dock.weights.item(0, 3).text() == "0.90 ± 0.00"
    assert "typically" in dock.weights.item(0, 3).toolTip()
    assert dock.weights.item(1, 3).text() == "0.10 ± 9.00"
    assert dock.weights.item(1, 3).toolTip() == ""
    weight = loaded.session.model.explanation.weights[Pair("FLAIR", "WT"), "T1"]
    said = f"weight of T1 for WT in FLAIR: {weight:.2f}, typically 0.90 ± 0.00 (9 cases)."
    assert dock.atypical.text() == f"Atypical: {said}"
    # The checkpoint that is chosen for the next run does not change what this one is held against.
    loaded.segment.choose(tiny_checkpoint.path)
    dock.questions.show_questions()
    assert dock.questions.reference.currentText() == "typical weights"


def test_a_lesion_of_the_list_is_asked_about(loaded: Workbench, qtbot: QtBot) -> None:
    assert not loaded.lesions.explain.isEnabled()
    run_segment(qtbot, loaded)
    segmented, session, dock = loaded, loaded.session, loaded.lesions
    layer = segmented.viewer.layers["segmentation"]
    labels = np.zeros_like(session.model.segmentation.label_map)
    labels[20:24, 20:26, 18:22] = 4
    labels[30:36, 20:26, 18:22] = 2
    layer.data = labels
    session.label_maps.measure()
    wait_until(qtbot, lambda: len(session.model.findings.inventory.lesions) == 4)
    lesions = session.model.findings.review_queue()
    k = next(k for k, lesion in enumerate(lesions) if lesion.region == "ET")
    place = dock.lesions.visualItemRect(dock.lesions.item(k, 1)).center()
    qtbot.mouseClick(dock.lesions.viewport(), LEFT, pos=place)
    click(qtbot, dock.explain)
    wait(qtbot, segmented)
    (question,) = session.explanation.answered
    name = "ET at ({}, {}, {})".format(*reversed(lesions[k].voxel))
    assert question.name == name
    assert set(question.explanation.weights) == {
        (Pair("T1CE", "ET"), auxiliary) for auxiliary in ("FLAIR", "T1", "T2")
    }
    # What is shown is what a click into the lesion would show.
    session.explanation.region = "ET"
    session.explanation.ask_at((22, 22, 20))
    wait(qtbot, segmented)
    clicked = session.explanation.answered[-1].explanation
    assert question.explanation.weights == clicked.weights
    assert dock.answer.text().startswith("ET at (")
    weight, auxiliary = max((w, name) for (_, name), w in clicked.weights.items())
    assert f"ET in T1CE: {auxiliary} {weight:.2f}, " in dock.answer.text()
    assert made(segmented, "map")[0].visible

    k = next(k for k, one in enumerate(lesions) if one.region == "WT" and one.voxel[0] >= 30)
    dock.lesions.scrollToItem(dock.lesions.item(k, 1))
    place = dock.lesions.visualItemRect(dock.lesions.item(k, 1)).center()
    qtbot.mouseClick(dock.lesions.viewport(), LEFT, pos=place)
    qtbot.mouseDClick(dock.lesions.viewport(), LEFT, pos=place)
    wait(qtbot, segmented)
    assert session.explanation.chosen.name.startswith("WT at (")
    assert {pair.region for pair, _ in session.explanation.chosen.explanation.weights} == {"WT"}


def test_the_measured_faithfulness_is_one_click_away(loaded: Workbench, qtbot: QtBot) -> None:
    dock = loaded.explain
    dock.meaning.linkActivated.emit("faithful")
    page = dock.dialog
    assert page.isVisible()
    assert "Spearman" in page.text.toPlainText()
    assert "Against networks" not in page.text.toPlainText()
    picture = page.text.document().resource(2, QUrl("studies/muting.png"))
    assert picture is not None
    page.close()

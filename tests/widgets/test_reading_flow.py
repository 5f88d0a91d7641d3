"""Lesions, corrections and comparisons, with real clicks and keys."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from helpers.cases import write_case
from helpers.gui import LEFT, canvas, click, click_cell, press, run_segment, wait, wait_until
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import read_labels, write_volume
from napari_ciml.inference.uncertainty_maps import uncertainty_map
from napari_ciml.metrics import dice
from napari_ciml.session.autosave import corrections_folder
from napari_ciml.widgets.controllers.comparison import RUN_BEFORE
from napari_ciml.widgets.layers.metadata import plugin_layers
from napari_ciml.widgets.workbench import Workbench, create_dock_widgets


def labels_of(desk: Workbench) -> Labels:
    layer = desk.session.label_maps.current()
    assert layer is not None
    return layer


def paint_tumour(desk: Workbench) -> Labels:
    """Paint a large lesion of edema with an enhancing core, and a smaller one of edema."""
    layer = labels_of(desk)
    layer.visible = True
    for box, value in (
        ((slice(10, 20),) * 3, 2),
        ((slice(13, 17),) * 3, 4),
        ((slice(30, 33), slice(20, 24), slice(8, 12)), 2),
    ):
        where = np.zeros(layer.data.shape, bool)
        where[box] = True
        layer.data_setitem(np.nonzero(where), value)
    return layer


def reference_file(folder: Path, desk: Workbench, *, shift: int = 0, enhancing: int = 4) -> Path:
    labels = np.zeros(desk.session.model.case.grid.shape, np.uint8)
    labels[10:20, 10:20, 10 + shift : 20 + shift] = 2
    labels[13:17, 13:17, 13 + shift : 17 + shift] = enhancing
    path = folder / "reader.nii.gz"
    write_volume(path, labels, desk.session.model.case.grid)
    return path


def kept_files() -> list[Path]:
    return sorted(corrections_folder().glob("*.json"))


def test_lesions_after_a_run_and_a_click_goes_there(loaded: Workbench, qtbot: QtBot) -> None:
    assert "segment it" in loaded.lesions.state.text()
    run_segment(qtbot, loaded)
    findings, widget = loaded.session.model.findings, loaded.lesions
    rows = findings.review_queue()
    assert widget.lesions.rowCount() == len(rows) > 1
    assert [s.region for s in findings.inventory.regions] == ["WT", "TC", "ET"]
    assert widget.regions.item(0, 1).text() == f"{findings.inventory.regions[0].volume_ml:.1f}"
    assert f"mean prob. {rows[0].probability:.2f}" in widget.lesions.item(0, 2).text()
    click_cell(qtbot, widget.lesions, 1, 1)
    grid = loaded.session.model.case.grid
    world = [v * mm + o for v, mm, o in zip(rows[1].voxel, grid.scale, grid.translate, strict=True)]
    assert loaded.viewer.scene.camera.center[1:] == pytest.approx(world[1:])
    (drawn,) = plugin_layers(loaded.viewer, "calipers")
    size = rows[1].diameters
    ends = drawn.data.sum(axis=1) * drawn.scale + drawn.translate
    starts = drawn.data[:, 0] * drawn.scale + drawn.translate
    lengths = np.linalg.norm(ends - starts, axis=1)
    assert lengths == pytest.approx([size.longest_mm, size.perpendicular_mm])
    np.testing.assert_allclose(starts[:, 1:], [line[0][1:] for line in size.lines])
    assert loaded.viewer.dims.current_step[0] == round(drawn.data[0, 0, 0])
    assert rows[1].mask[loaded.viewer.dims.current_step[0] - rows[1].box[0].start].any()
    assert drawn.visible

    click(qtbot, widget.next)
    assert findings.seen(rows[1])
    assert loaded.session.model.findings.marks[0].region == rows[1].region
    assert widget.lesions.currentRow() == 2
    assert widget.lesions.item(1, 0).checkState() == Qt.CheckState.Checked
    widget.lesions.item(1, 0).setCheckState(Qt.CheckState.Unchecked)
    assert findings.marks == ()
    widget.region_filter.setCurrentText("ET")
    widget.region_filter.activated.emit(widget.region_filter.currentIndex())
    assert {lesion.region for lesion in widget.lesions.lesions} == {"ET"}
    assert not drawn.visible


def test_doubt_as_a_layer_for_every_region(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    model, widget = loaded.session.model, loaded.lesions
    click(qtbot, widget.show_uncertainty)
    wait(qtbot, loaded)
    (layer,) = plugin_layers(loaded.viewer, "uncertainty")
    assert layer.name == "disagreement of WT"
    expected = uncertainty_map(model.segmentation, model.case, "WT", "disagreement")
    np.testing.assert_array_equal(layer.data, expected)
    assert layer.contrast_limits == [0, 0.5]
    widget.region.setCurrentText("ET")
    click(qtbot, widget.show_uncertainty)
    assert "One segmentor alone predicts ET" in widget.error.text()
    widget.kind.setCurrentText("uncertainty")
    click(qtbot, widget.show_uncertainty)
    wait(qtbot, loaded)
    assert plugin_layers(loaded.viewer, "uncertainty") == [layer]
    assert layer.name == "uncertainty of ET"
    assert layer.contrast_limits == [0, 1]
    assert widget.error.text() == ""
    click(qtbot, widget.hide_uncertainty)
    assert not layer.visible


def test_the_spread_over_samples(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    model, widget = loaded.session.model, loaded.lesions
    before = model.segmentation.label_map
    widget.kind.setCurrentText("spread")
    click(qtbot, widget.show_uncertainty)
    assert "Nothing was sampled" in widget.error.text()
    widget.samples.setValue(2)
    click(qtbot, widget.sample)
    wait(qtbot, loaded)
    assert model.segmentation.uncertainty.samples == 2
    np.testing.assert_array_equal(model.segmentation.label_map, before)
    click(qtbot, widget.show_uncertainty)
    wait(qtbot, loaded)
    (layer,) = plugin_layers(loaded.viewer, "uncertainty")
    np.testing.assert_array_equal(layer.data, model.segmentation.uncertainty.spread["WT"])


def test_what_is_painted_is_measured(loaded: Workbench, qtbot: QtBot) -> None:
    layer = paint_tumour(loaded)
    wait(qtbot, loaded)
    regions = loaded.session.model.findings.inventory.regions
    assert [summary.lesions for summary in regions] == [2, 1, 1]
    assert regions[0].volume_ml == pytest.approx((1000 + 48) * 27 / 1000)
    layer.undo()
    wait(qtbot, loaded)
    assert loaded.session.model.findings.inventory.regions[0].lesions == 1


def test_a_correction_comes_back_after_a_crash(
    loaded: Workbench,
    case_folder: Path,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    painted = paint_tumour(loaded).data.copy()
    wait(qtbot, loaded)
    assert len(kept_files()) == 1
    assert loaded.correct.autosaved.text().startswith("Autosaved at")

    # Nothing is closed: another viewer finds what a crash would have left.
    case_folder.rename(tmp_path / "renamed")
    after = create_dock_widgets(ViewerModel())
    try:
        after.case.open(tmp_path / "renamed")
        wait(qtbot, after)
        assert "Autosaved edits" in after.correct.offer.text()
        assert not after.session.label_maps.current().data.any()
        click(qtbot, after.correct.restore)
        wait(qtbot, after)
        layer = labels_of(after)
        assert layer.name == "segmentation (restored)"
        np.testing.assert_array_equal(layer.data, painted)
        assert after.correct.offer.text() == ""
        assert after.session.model.findings.inventory.regions[0].lesions == 2
        layer.paint((5, 5, 5), 2)
        wait(qtbot, after)
        assert len(kept_files()) == 1  # it goes on in the same file

        after.case.open(write_case(tmp_path / "other", Grid((20, 22, 24), (3.0,) * 3, (0.0,) * 3)))
        wait(qtbot, after)
        assert after.correct.offer.text() == ""
        after.case.open(tmp_path / "renamed")
        wait(qtbot, after)
        click(qtbot, after.correct.discard)
        assert kept_files() == []
        assert after.correct.offer.text() == ""
    finally:
        after.session.close()


def test_what_is_undone_is_not_kept(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    layer = labels_of(loaded)
    layer.paint((20, 20, 20), 4)
    wait(qtbot, loaded)
    assert len(kept_files()) == 1
    layer.undo()
    wait(qtbot, loaded)
    assert kept_files() == []


def test_what_is_saved_elsewhere_is_forgotten_until_it_is_painted_on(
    loaded: Workbench, qtbot: QtBot
) -> None:
    layer = labels_of(loaded)
    layer.paint((20, 20, 20), 4)
    wait(qtbot, loaded)
    (before,) = kept_files()
    loaded.session.autosave.discard(layer)
    wait(qtbot, loaded)
    assert kept_files() == []
    layer.paint((10, 20, 20), 4)
    wait(qtbot, loaded)
    (after,) = kept_files()
    assert after.name != before.name
    # A stroke that was not kept yet is saved elsewhere too: nothing comes of it later.
    layer.paint((5, 20, 20), 4)
    loaded.session.autosave.discard(layer)
    wait(qtbot, loaded)
    assert kept_files() == []


def test_closing_keeps_the_last_stroke(loaded: Workbench, qtbot: QtBot) -> None:
    labels_of(loaded).paint((20, 20, 20), 4)
    assert kept_files() == []
    loaded.session.close()
    assert len(kept_files()) == 1


def test_a_full_disk_is_told(
    loaded: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_ciml.files.os.fsync", full)
    labels_of(loaded).paint((20, 20, 20), 4)
    wait(qtbot, loaded)
    assert "cannot be written (no space left" in loaded.correct.error.text()
    monkeypatch.undo()


def test_a_run_that_ends_never_takes_a_stroke_away(loaded: Workbench, qtbot: QtBot) -> None:
    """Whenever the user paints while a result is being shown, the stroke stays."""
    run_segment(qtbot, loaded)
    session = loaded.session
    case, run = session.model.case, session.model.segmentation
    for moment in range(12):
        layer = plugin_layers(loaded.viewer, "segmentation")[0]
        for step, _ in enumerate(session.layers.show_segmentation(case, run)):
            if step == moment:
                layer.paint((20, 20, 20), 4)
                layer.paint((20, 20, 30), 1)
                painted = layer.data.copy()
        if moment > step:
            break
        assert layer in loaded.viewer.layers
        np.testing.assert_array_equal(layer.data, painted)
        assert layer.data[20, 20, 20] == 4
    assert moment > 4
    wait(qtbot, loaded)


def test_strokes_of_before_are_not_redone_on_a_new_result(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    layer = labels_of(loaded)
    layer.paint((20, 20, 20), 4)
    layer.undo()
    run_segment(qtbot, loaded)
    assert labels_of(loaded) is layer
    layer.redo()
    np.testing.assert_array_equal(layer.data, loaded.session.model.segmentation.label_map)


def test_a_region_is_picked_by_key_and_by_click(loaded: Workbench, qtbot: QtBot) -> None:
    layer, widget = labels_of(loaded), loaded.correct
    assert not widget.erase.isEnabled()
    press(loaded, "Alt-3")
    assert (layer.selected_label, layer.mode, layer.preserve_labels) == (4, "paint", False)
    assert loaded.viewer.layers.selection.active is layer
    assert widget.stroke_hint.text() == "Adds to ET, TC, WT."
    press(loaded, "Alt-1")
    assert (layer.selected_label, layer.mode) == (2, "paint")
    assert widget.stroke_hint.text() == "Adds to WT; TC and ET are unchanged."
    press(loaded, "Alt-0")
    assert (layer.selected_label, layer.mode) == (2, "erase")
    click(qtbot, widget.brush("TC"))
    assert (layer.selected_label, layer.mode) == (1, "erase")
    assert widget.stroke_hint.text() == "Erases from TC and ET; voxels stay in WT."
    click(qtbot, widget.erase)
    assert (layer.selected_label, layer.mode) == (1, "paint")


def test_no_key_is_taken_from_napari() -> None:
    from napari.utils.shortcuts import default_shortcuts

    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not taken & {f"Alt+{number}" for number in range(10)}
    assert taken


@pytest.fixture
def stroke(loaded: Workbench, qtbot: QtBot) -> Callable[..., Labels]:
    """Paint a tumour, and paint over the middle of it with a real mouse."""
    layer = paint_tumour(loaded)
    loaded.viewer.dims.set_current_step(0, 15)
    loaded.viewer.scene.camera.center = layer.data_to_world((15, 15, 15))
    layer.brush_size = 5
    widget = canvas(loaded)

    def made(region: str, *, erase: bool = False, across: int = 0) -> Labels:
        if loaded.correct.erase.isChecked() != erase:
            loaded.correct.erase.setChecked(erase)
        click(qtbot, loaded.correct.brush(region))
        middle = widget.rect().center()
        qtbot.mouseMove(widget, middle)
        qtbot.mousePress(widget, LEFT, pos=middle)
        for step in range(1, 4 if across else 1):
            qtbot.mouseMove(widget, middle + QPoint(step * across // 3, 0))
            qtbot.wait(20)
        qtbot.mouseRelease(widget, LEFT, pos=middle + QPoint(across, 0))
        return layer

    return made


@pytest.mark.window
def test_painting_a_region_spares_what_is_inside_it(stroke: Callable[..., Labels]) -> None:
    for region, own in (("WT", 2), ("TC", 1), ("ET", 4)):
        layer = stroke(region)
        plane = layer.data[15]
        assert (plane[13:17, 13:17] == 4).all()  # the enhancing core is in all of them
        assert plane[15, 17] == own
        assert plane[15, 19] == 2  # beyond the brush
        assert (layer.data[14] == 2).sum() == 100 - 16
        layer.undo()
        assert plane[15, 17] == 2


@pytest.mark.window
def test_erasing_a_region_leaves_the_one_around_it(stroke: Callable[..., Labels]) -> None:
    for region, left in (("WT", 0), ("TC", 2), ("ET", 1)):
        before = stroke("ET").data[15].copy()
        layer = stroke(region, erase=True)
        plane = layer.data[15]
        assert before[15, 17] == 4
        assert plane[15, 15] == left
        assert plane[15, 19] == 2
        assert set(np.unique(plane[before == 2])) <= {2, left if region == "WT" else 2}
        assert layer.data[14, 15, 15] == 4
        layer.undo()
        layer.undo()


@pytest.mark.window
def test_a_stroke_of_a_region_is_undone_and_redone_at_once(stroke: Callable[..., Labels]) -> None:
    layer = stroke("ET")
    before = layer.data.copy()
    after = stroke("TC", across=60).data.copy()
    changed = after != before
    assert changed.any()
    assert set(np.unique(after[changed])) == {1}
    assert (after[before == 4] == 4).all()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.redo()
    np.testing.assert_array_equal(layer.data, after)


def test_fill_and_polygon_keep_to_the_regions(loaded: Workbench, qtbot: QtBot) -> None:
    layer = paint_tumour(loaded)
    loaded.viewer.dims.set_current_step(0, 15)
    before = layer.data.copy()
    click(qtbot, loaded.correct.brush("TC"))
    layer.paint_polygon([(15, 9, 9), (15, 9, 15), (15, 21, 15), (15, 21, 9)], 1)
    assert (layer.data[before == 4] == 4).all()
    assert layer.data[15, 12, 12] == layer.data[15, 9, 10] == 1
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.fill((15, 15, 15), 1)  # a core that enhances is a core
    np.testing.assert_array_equal(layer.data, before)
    layer.fill((15, 11, 11), 1)
    assert (layer.data[15][before[15] == 2] == 1).all()
    assert (layer.data[before == 4] == 4).all()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


@pytest.mark.window(shown=False)
def test_a_stroke_in_another_plane_keeps_to_the_regions_and_is_kept(
    loaded: Workbench, qtbot: QtBot
) -> None:
    layer, looking = paint_tumour(loaded), loaded.session.display
    looking.layouts.toggle("planes")
    wait_until(qtbot, lambda: not looking.layouts.orthogonal_views.busy)
    mirror = looking.layouts.orthogonal_views.views[0].linked_layers[layer].layer
    wait(qtbot, loaded)
    for path in kept_files():
        path.unlink()
    mirror.brush_size = 9
    mirror.paint((15, 15, 15), 1)
    assert (layer.data[13:17, 13:17, 13:17] == 4).all()
    assert layer.data[15, 15, 18] == 1
    wait(qtbot, loaded)
    assert len(kept_files()) == 1


def test_faults_are_found_mended_and_mending_is_undone(loaded: Workbench, qtbot: QtBot) -> None:
    layer = paint_tumour(loaded)
    layer.data_setitem(tuple(np.array([[11], [11], [11]])), 4)  # ET in edema: two specks
    layer.data_setitem(tuple(np.array([[18], [18], [18]])), 0)
    widget = loaded.correct
    click(qtbot, widget.check)
    wait(qtbot, loaded)
    said = [widget.issues.item(k, 0).text() for k in range(widget.issues.rowCount())]
    assert [text.split(" (")[0] for text in said] == [
        "WT: hole of 1 voxel",
        "TC: small component of 1 voxel",
    ]
    remedy = widget.issues.cellWidget(0, 1)
    assert widget.issues.columnWidth(1) >= remedy.sizeHint().width()
    widget.issues.setCurrentCell(0, 0)
    assert loaded.viewer.dims.current_step[0] == 18
    layer.mode = "paint"
    click(qtbot, widget.issues.cellWidget(1, 1))
    wait(qtbot, loaded)
    assert layer.mode == "paint"
    assert layer.data[11, 11, 11] == 2
    assert widget.issues.rowCount() == 1
    layer.visible = False
    click(qtbot, widget.fix_all)
    wait(qtbot, loaded)
    assert layer.data[18, 18, 18] == 2
    assert widget.summary.text() == "No small components, holes or inconsistencies found."
    layer.undo()
    assert layer.data[18, 18, 18] == 0
    wait(qtbot, loaded)


def test_saving_asks_when_something_is_wrong(
    loaded: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    layer = paint_tumour(loaded)
    layer.data_setitem(tuple(np.array([[38], [40], [30]])), 2)
    path = tmp_path / "mine.nii.gz"
    loaded.correct.write(path)
    wait(qtbot, loaded)
    assert "Not saved: 1 issue" in loaded.correct.summary.text()
    assert not path.exists()
    click(qtbot, loaded.correct.save_anyway)
    wait(qtbot, loaded)
    assert loaded.correct.summary.text() == "Saved as mine.nii.gz."
    saved, grid = read_labels(path)
    np.testing.assert_array_equal(saved, layer.data)
    assert grid.is_close(loaded.session.model.case.grid)


def test_compared_with_another_reader(loaded: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    paint_tumour(loaded)
    widget = loaded.compare
    widget.read(reference_file(tmp_path, loaded, shift=2))
    wait(qtbot, loaded)
    assert widget.references.currentText() == "reader.nii.gz"
    texts = [widget.scores.item(0, k).text() for k in range(6)]
    assert texts[:4] == ["WT", "28.3", "27.0", f"{2 * 800 / 2048:.3f}"]
    assert widget.scores.item(2, 4).text() == "6.0"  # two voxels of 3 mm
    (outline,) = plugin_layers(loaded.viewer, "reference")
    assert outline.visible
    click_cell(qtbot, widget.scores, 0, 0)
    (shown,) = plugin_layers(loaded.viewer, "difference")
    assert [int((shown.data == value).sum()) for value in (1, 2, 3)] == [800, 200, 248]
    assert not labels_of(loaded).visible
    assert shown.data[15, 15, 11] == 3
    assert shown.features["is"].tolist() == ["", "agreed", "missed", "added"]

    # Where nothing differs, a click turns to a slice where something does, and stays there.
    dims = loaded.viewer.dims
    click_cell(qtbot, widget.scores, 1, 0)
    dims.set_current_step(0, 0)
    assert not (shown.data[0] > 1).any()
    click_cell(qtbot, widget.scores, 0, 0)
    assert (shown.data[dims.current_step[0]] > 1).any()
    differ = np.flatnonzero((shown.data > 1).any(axis=(1, 2)))
    for slice_ in (differ[0], differ[-1]):
        dims.set_current_step(0, slice_)
        click_cell(qtbot, widget.scores, 0, 0)
        assert dims.current_step[0] == slice_

    # A stroke later everything follows.
    labels_of(loaded).data_setitem(tuple(np.array([[15], [15], [20]])), 2)
    wait(qtbot, loaded)
    assert int((shown.data == 1).sum()) == 801
    click(qtbot, widget.hide_difference)
    assert labels_of(loaded).visible
    assert not shown.visible
    widget.references.setCurrentText("none")
    widget.references.activated.emit(0)
    assert not outline.visible
    assert loaded.session.model.findings.comparison is None
    wait(qtbot, loaded)


def test_labels_of_two_meanings_are_asked_about(
    loaded: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    layer = paint_tumour(loaded)
    layer.data_setitem(tuple(np.array([[15], [15], [15]])), 1)
    path = reference_file(tmp_path, loaded, enhancing=3)
    labels, grid = read_labels(path)
    labels[15, 15, 15] = 1
    write_volume(path, labels, grid)
    widget = loaded.compare
    widget.read(path)
    wait(qtbot, loaded)
    assert "may be brats2021 or brats2013; choose one" in widget.notices.text()
    assert loaded.session.model.findings.comparison is None
    assert widget.conventions.isVisibleTo(widget)
    widget.conventions.setCurrentText("brats2021")
    widget.conventions.activated.emit(1)
    wait(qtbot, loaded)
    assert widget.scores.item(2, 3).text() == "1.000"


def test_a_wrong_file_keeps_the_comparison(loaded: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    paint_tumour(loaded)
    widget = loaded.compare
    widget.read(reference_file(tmp_path, loaded))
    wait(qtbot, loaded)
    before = loaded.session.model.findings.comparison
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    widget.read(tmp_path / "broken.nii.gz")
    wait(qtbot, loaded)
    assert "broken.nii.gz: cannot be read" in widget.error.text()
    assert loaded.session.model.findings.comparison is before


def test_compared_with_the_run_before(loaded: Workbench, qtbot: QtBot) -> None:
    loaded.decomposition.live.setChecked(False)  # else a run of its own may come between
    run_segment(qtbot, loaded)
    assert RUN_BEFORE not in loaded.session.reference_comparison.references()
    first = loaded.session.model.segmentation.label_map
    click(qtbot, loaded.decomposition.role_button(0, "T2"))
    run_segment(qtbot, loaded)
    widget = loaded.compare
    widget.references.setCurrentText(RUN_BEFORE)
    widget.references.activated.emit(widget.references.currentIndex())
    wait(qtbot, loaded)
    found = loaded.session.model.findings.comparison
    np.testing.assert_array_equal(found.reference.labels, first)
    assert widget.scores.rowCount() == 3
    now = loaded.session.model.segmentation.label_map
    # ET is predicted from T1CE alone, but lies inside WT, which the edit changed.
    assert found.scores[2].dice == pytest.approx(dice(now == 4, first == 4))


def test_marks_and_comparison_end_with_the_case(
    loaded: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    paint_tumour(loaded)
    loaded.compare.read(reference_file(tmp_path, loaded))
    wait(qtbot, loaded)
    findings = loaded.session.model.findings
    findings.mark(findings.inventory.lesions[0], True)
    loaded.case.open(write_case(tmp_path / "other", Grid((20, 22, 24), (3.0,) * 3, (0.0,) * 3)))
    wait(qtbot, loaded)
    assert findings.marks == ()
    assert findings.reference is None
    assert loaded.compare.scores.rowCount() == 0
    assert not plugin_layers(loaded.viewer, "reference", "difference")


def test_fits_a_small_screen(loaded: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    paint_tumour(loaded)
    loaded.compare.read(reference_file(tmp_path, loaded))
    click(qtbot, loaded.correct.check)
    wait(qtbot, loaded)
    for widget in (loaded.lesions, loaded.correct, loaded.compare):
        assert widget.minimumSizeHint().width() <= 420
        assert widget.minimumSizeHint().height() <= 740
    assert loaded.lesions.lesions.columnWidth(2) > 100

"""From opening a folder to a complementary-information layer, with real clicks."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import SimpleITK as sitk
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from helpers.cases import write_case
from helpers.gui import LEFT, click, layer_names, run_segment, wait, wait_until
from helpers.waiting import PATIENCE
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.model import Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.checkpoint import Checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import PostprocessingSettings, Score
from napari_ciml.widgets import settings
from napari_ciml.widgets.controllers import case_loading
from napari_ciml.widgets.docks.segment import engine_choice
from napari_ciml.widgets.layers.metadata import metadata_of
from napari_ciml.widgets.workbench import Workbench


def test_the_engine_is_chosen_and_mirroring_asked_for(loaded: Workbench, qtbot: QtBot) -> None:
    model, dock = loaded.session.model, loaded.segment
    loaded.session.live.set_on(False)
    assert (model.engine, model.request.options.test_time_flips) == ("auto", False)
    qtbot.keyClick(dock.engine, Qt.Key.Key_Down)
    qtbot.mouseClick(dock.test_time_flips, LEFT, pos=QPoint(8, dock.test_time_flips.height() // 2))
    assert (model.engine, model.request.options.test_time_flips) == ("torch", True)
    run_segment(qtbot, loaded)
    made = model.segmentation
    assert (made.engine, made.settings.engine, made.settings.test_time_flips) == (
        "torch",
        "torch",
        True,
    )
    assert "(torch)" in dock.summary.text()
    model.set_engine("auto")
    model.set_option("test_time_flips", False)
    assert (dock.engine.currentData(), dock.test_time_flips.isChecked()) == ("auto", False)


def test_an_engine_that_is_not_installed_is_greyed_and_says_why(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_ciml.widgets.docks.segment.has_openvino", lambda: False)
    choice = engine_choice()
    qtbot.addWidget(choice)
    qtbot.keyClick(choice, Qt.Key.Key_End)
    assert choice.currentData() == "torch"
    last = choice.findData("openvino")
    assert choice.itemText(last) == "OpenVINO (not installed)"
    assert "pip install 'napari-ciml[cpu]'" in choice.itemData(last, Qt.ItemDataRole.ToolTipRole)


def test_the_engine_of_the_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    for set_to, there, begins in (
        ("torch", True, "torch"),
        ("openvino", True, "openvino"),
        ("openvino", False, "auto"),
        (None, True, "auto"),
    ):
        monkeypatch.setattr(settings, "_setting", {"engine": set_to}.get)
        monkeypatch.setattr(settings, "has_openvino", lambda there=there: there)
        assert settings.default_engine() == begins


def test_from_a_folder_to_a_map(desk: Workbench, case_folder: Path, qtbot: QtBot) -> None:
    desk.case.open(case_folder)
    wait(qtbot, desk)
    assert layer_names(desk) == ["T2", "T1CE", "T1", "FLAIR", "segmentation"]
    assert [layer.visible for layer in desk.viewer.layers] == [False, False, False, True, False]
    assert not desk.viewer.layers["segmentation"].data.any()
    assert desk.case.files.rowCount() == 4
    assert "values" in desk.case.files.item(0, 1).text()

    run_segment(qtbot, desk)
    assert desk.viewer.layers["segmentation"].visible
    assert desk.segment.volumes.item(0, 0).text() == "WT"
    click(qtbot, desk.explain.run)
    wait(qtbot, desk)
    assert desk.explain.weights.rowCount() == 18

    pair, auxiliary, box = desk.explain.chart.segments()[0]
    centre = box.center().toPoint()
    qtbot.mouseClick(desk.explain.chart, LEFT, pos=QPoint(centre.x(), centre.y()))
    wait_until(qtbot, lambda: any(metadata_of(layer).kind == "map" for layer in desk.viewer.layers))
    (shown,) = [layer for layer in desk.viewer.layers if metadata_of(layer).kind == "map"]
    assert shown.name == f"{auxiliary} for {pair.primary} {pair.region}"
    explanation = desk.session.model.explanation
    np.testing.assert_array_equal(shown.data, explanation.maps[pair, auxiliary])
    visible = {layer.name for layer in desk.viewer.layers if layer.visible}
    assert visible == {"segmentation", shown.name, auxiliary}

    row = desk.explain.weights.rowCount() - 1
    desk.explain.weights.setCurrentCell(row, 0)
    pair, auxiliary = list(explanation.maps)[row]
    name = f"{auxiliary} for {pair.primary} {pair.region}"
    wait_until(qtbot, lambda: name in desk.viewer.layers)
    (again,) = [layer for layer in desk.viewer.layers if metadata_of(layer).kind == "map"]
    assert again.name == name
    np.testing.assert_array_equal(again.data, explanation.maps[pair, auxiliary])
    click(qtbot, desk.explain.hide_map)
    assert not again.visible
    run_segment(qtbot, desk)
    assert again.name.endswith("(previous run)")
    assert not again.visible


def test_every_layer_lies_in_the_world_in_millimetres(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    grid = loaded.session.model.case.grid
    for layer in loaded.viewer.layers:
        assert tuple(layer.scale) == grid.scale
        assert tuple(layer.translate) == grid.translate
        assert {str(unit) for unit in layer.units} == {"millimeter"}


def test_region_names_in_the_status_bar(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    layer = loaded.viewer.layers["segmentation"]
    layer.data = np.full_like(layer.data, 4)
    centre = [a + 20 * s for a, s in zip(layer.translate, layer.scale, strict=True)]
    assert "ET in TC in WT" in layer.get_status(centre, world=True)["value"]


def test_running_again_replaces_ours_and_nothing_else(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    mine = loaded.viewer.add_labels(np.zeros((4, 4, 4), int), name="segmentation of mine")
    run_segment(qtbot, loaded)
    assert layer_names(loaded).count("segmentation") == 1
    assert mine in loaded.viewer.layers
    assert sum(metadata_of(layer) is not None for layer in loaded.viewer.layers) == 5

    second = loaded.viewer.layers["segmentation"]
    second.paint((20, 20, 20), 4)
    painted = second.data.copy()
    run_segment(qtbot, loaded)
    assert second in loaded.viewer.layers
    assert second.name == "segmentation (edited)"
    np.testing.assert_array_equal(second.data, painted)
    assert layer_names(loaded).count("segmentation") == 1


def test_cancel_keeps_the_old_result(
    loaded: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_segment(qtbot, loaded)
    before = loaded.session.model.segmentation
    layer = loaded.viewer.layers["segmentation"]
    begun = Event()

    def endless(*arguments: object) -> None:
        monitor = arguments[-1]
        while True:
            begun.set()
            monitor.step("Segmenting", 1, 8)

    monkeypatch.setattr("napari_ciml.inference.segment.segment", endless)
    click(qtbot, loaded.segment.run)
    assert begun.wait(PATIENCE)
    wait_until(qtbot, lambda: "Segmenting" in loaded.segment.jobs.stage.text())
    assert loaded.segment.jobs.cancel.isVisibleTo(loaded.segment)
    click(qtbot, loaded.segment.jobs.cancel)
    wait(qtbot, loaded)
    assert "cancelled" in loaded.segment.jobs.notices.text()
    assert loaded.session.model.segmentation is before
    assert layer in loaded.viewer.layers


def test_a_failure_is_shown_with_details_to_copy(
    loaded: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("napari_ciml.inference.segment.segment", fails)
    run_segment(qtbot, loaded)
    assert loaded.segment.error.text() == "Segmenting failed unexpectedly (RuntimeError)."
    assert loaded.segment.copy.isVisibleTo(loaded.segment)
    assert "a bug" in loaded.segment._details


def test_a_result_for_another_case_is_dropped(
    loaded: Workbench, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, real = Event(), case_loading.load_case

    def slow(*arguments: object, **named: object) -> object:
        go.wait(PATIENCE)
        return real(*arguments, **named)

    click(qtbot, loaded.segment.run)
    other = write_case(tmp_path / "other", Grid((20, 22, 24), (3.0,) * 3, (0.0,) * 3))
    monkeypatch.setattr(case_loading, "load_case", slow)
    loaded.case.open(other)
    go.set()
    wait(qtbot, loaded)
    assert loaded.session.model.case.name == "other"
    assert loaded.session.model.segmentation is None
    assert not loaded.viewer.layers["segmentation"].data.any()


def test_problems_of_a_folder_are_shown_and_solved_in_the_table(
    desk: Workbench, case_folder: Path, qtbot: QtBot
) -> None:
    (case_folder / "case_t2.nii.gz").rename(case_folder / "case_t1_t2.nii.gz")
    desk.case.open(case_folder)
    wait(qtbot, desk)
    assert desk.session.model.case is None
    assert "could be T1 or T2 by its name" in desk.case.problems.text()
    assert not desk.case.load.isEnabled()
    row = [s.path.name for s in desk.session.model.sources.discovered.sources].index(
        "case_t1_t2.nii.gz"
    )
    box = desk.case.files.cellWidget(row, 0)
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), "T2")
    qtbot.keyClick(box.lineEdit(), Qt.Key.Key_Return)
    assert desk.case.problems.text() == ""
    click(qtbot, desk.case.load)
    wait(qtbot, desk)
    assert set(desk.session.model.case.images) == {"FLAIR", "T1", "T1CE", "T2"}


def test_channels_of_a_4d_file_are_named_in_the_table(
    desk: Workbench, tmp_path: Path, qtbot: QtBot
) -> None:
    grid = Grid((20, 22, 24), (4.0,) * 3, (0.0,) * 3)
    folder = write_case(tmp_path / "parts", grid, names="flair t1ce")
    volumes = [sitk.ReadImage(str(path)) for path in sorted(folder.iterdir())]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(tmp_path / "both.nii.gz"))
    desk.case.open(tmp_path / "both.nii.gz")
    wait(qtbot, desk)
    assert "No modality is recognised" in desk.case.problems.text()
    for row, name in enumerate(("FLAIR", "T1CE")):
        box = desk.case.files.cellWidget(row, 0)
        box.setCurrentText(name)
        box.activated.emit(box.currentIndex())
    click(qtbot, desk.case.load)
    wait(qtbot, desk)
    assert set(desk.session.model.case.images) == {"FLAIR", "T1CE"}


def test_a_damaged_file_is_one_sentence_and_loses_nothing(
    loaded: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x_t1.nii.gz").write_bytes(b"no image")
    before = loaded.session.model.case
    loaded.case.open(tmp_path / "bad")
    wait(qtbot, loaded)
    assert "cannot be read" in loaded.case.error.text()
    assert loaded.session.model.case is before


def test_two_modalities_get_a_decomposition_that_fits(
    desk: Workbench, case_folder: Path, qtbot: QtBot
) -> None:
    for name in ("t1", "t2"):
        (case_folder / f"case_{name}.nii.gz").unlink()
    desk.case.open(case_folder)
    wait(qtbot, desk)
    assert desk.session.model.decomposition == PRESETS["flair-t1ce"]
    assert "flair-t1ce" in desk.case.notices.text()
    run_segment(qtbot, desk)
    assert set(desk.session.model.segmentation.pair_probabilities) == set(
        PRESETS["flair-t1ce"].pairs
    )


def test_what_a_missing_modality_costs_is_said(
    desk: Workbench, case_folder: Path, tiny_checkpoint: Checkpoint, tmp_path: Path, qtbot: QtBot
) -> None:
    there = ("FLAIR", "T1CE", "T2")
    scores = (
        Score(data="cases held out", region="WT", cases=20, dice=0.92),
        Score(data="cases held out", region="WT", cases=10, dice=0.9, modalities=there),
    )
    info = tiny_checkpoint.info.model_copy(update={"scores": scores})
    save_checkpoint(tmp_path / "scored.safetensors", tiny_checkpoint.network, info)
    desk.segment.choose(tmp_path / "scored.safetensors")
    assert "20 cases held out: WT 0.92" in desk.segment.description.text()
    (case_folder / "case_t1.nii.gz").unlink()
    desk.case.open(case_folder)
    wait(qtbot, desk)
    said = desk.case.notices.text()
    assert "The case has no T1." in said
    assert "10 cases held out: WT 0.90 (0.92 with all)" in said
    assert {task.name for task in desk.session.model.decomposition.subtasks} == set(there)
    run_segment(qtbot, desk)
    assert set(desk.session.model.segmentation.volumes_ml) == {"WT", "TC", "ET"}
    assert "segmentation without T1" in layer_names(desk)


def test_muting_in_the_grid_takes_effect_at_the_next_run(loaded: Workbench, qtbot: QtBot) -> None:
    loaded.session.live.set_on(False)
    run_segment(qtbot, loaded)
    before = loaded.session.model.segmentation
    button = loaded.decomposition.role_button(0, "T2")
    assert button.text() == "a"
    click(qtbot, button)
    assert loaded.decomposition.role_button(0, "T2").text() == "-"
    click(qtbot, loaded.decomposition.region_box(1, "TC"))
    assert "T1 is primary but predicts no region" in loaded.decomposition.problems.text()
    click(qtbot, loaded.decomposition.region_box(1, "TC"))
    run_segment(qtbot, loaded)
    after = loaded.session.model.segmentation
    assert not np.allclose(
        before.pair_probabilities[Pair("FLAIR", "WT")],
        after.pair_probabilities[Pair("FLAIR", "WT")],
    )
    np.testing.assert_allclose(
        before.pair_probabilities[Pair("T1", "TC")],
        after.pair_probabilities[Pair("T1", "TC")],
        atol=1e-6,
    )


def test_what_the_checkpoint_cannot_serve_is_said_and_not_run(
    loaded: Workbench, qtbot: QtBot
) -> None:
    click(qtbot, loaded.decomposition.region_box(0, "ET"))
    assert "ET from FLAIR is untrained in 'tiny'." in loaded.decomposition.problems.text()
    assert loaded.decomposition.grid.verticalHeaderItem(0).text() == "1 !"
    run_segment(qtbot, loaded)
    assert "ET from FLAIR is untrained" in loaded.segment.error.text()
    assert loaded.session.model.segmentation is None


def test_a_refused_checkpoint_leaves_the_one_before(loaded: Workbench, tmp_path: Path) -> None:
    before = loaded.session.model.checkpoint
    (tmp_path / "x.safetensors").write_bytes(b"\x80\x04.")
    loaded.segment.choose(tmp_path / "x.safetensors")
    assert "this is a pickle" in loaded.segment.error.text()
    assert loaded.session.model.checkpoint == before


def test_decomposition_to_yaml_and_back(loaded: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    click(qtbot, loaded.decomposition.role_button(0, "T2"))
    loaded.decomposition.write(tmp_path / "mine.yaml")
    saved = loaded.session.model.decomposition
    loaded.session.model.set_decomposition(PRESETS["fig3"])
    loaded.decomposition.read(tmp_path / "mine.yaml")
    assert loaded.session.model.decomposition == saved
    assert saved.name == "mine"
    assert loaded.decomposition.presets.currentText() == "mine"


def test_probability_on_request(loaded: Workbench, qtbot: QtBot) -> None:
    run_segment(qtbot, loaded)
    assert not any("probability" in name for name in layer_names(loaded))
    click(qtbot, loaded.segment.volumes.cellWidget(1, 2))
    assert "probability of TC" in layer_names(loaded)


def test_specks_are_kept_when_their_removal_is_switched_off(
    desk: Workbench, case_folder: Path, tiny_checkpoint: Checkpoint, tmp_path: Path, qtbot: QtBot
) -> None:
    everything = dict.fromkeys(tiny_checkpoint.info.decomposition.region_names, 1e4)
    info = tiny_checkpoint.info.model_copy(
        update={"postprocessing": PostprocessingSettings(min_component_ml=everything)}
    )
    save_checkpoint(tmp_path / "strict.safetensors", tiny_checkpoint.network, info)
    desk.segment.choose(tmp_path / "strict.safetensors")
    desk.case.open(case_folder)
    wait(qtbot, desk)
    run_segment(qtbot, desk)
    assert not desk.viewer.layers["segmentation"].data.any()
    qtbot.mouseClick(
        desk.segment.postprocess, LEFT, pos=QPoint(8, desk.segment.postprocess.height() // 2)
    )
    assert not desk.segment.postprocess.isChecked()
    run_segment(qtbot, desk)
    assert desk.viewer.layers["segmentation"].data.any()


@pytest.mark.window(shown=False)
def test_fits_a_small_screen(loaded: Workbench, qtbot: QtBot) -> None:
    loaded.viewer.window.resize(1280, 800)
    run_segment(qtbot, loaded)
    click(qtbot, loaded.explain.run)
    wait(qtbot, loaded)
    for widget in (loaded.case, loaded.decomposition, loaded.segment, loaded.explain):
        assert widget.minimumSizeHint().width() <= 420
        assert widget.minimumSizeHint().height() <= 740


@pytest.mark.window(shown=False)
def test_closing_the_window_in_the_middle_stops_the_work(
    loaded: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = Event(), Event()

    def endless(*arguments: object) -> None:
        try:
            while True:
                begun.set()
                arguments[-1].step("Segmenting", 1, 8)
        finally:
            ended.set()

    monkeypatch.setattr("napari_ciml.inference.segment.segment", endless)
    click(qtbot, loaded.segment.run)
    assert begun.wait(PATIENCE)
    loaded.viewer.close()
    wait_until(qtbot, ended.is_set)

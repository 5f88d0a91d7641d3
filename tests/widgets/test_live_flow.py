"""Live decomposition, with real clicks, keys and sliders."""

from threading import Event

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from helpers.gui import click, drag, press, wait, wait_until
from helpers.waiting import PATIENCE
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Pair
from napari_ciml.inference import segment as engine
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.comparison import ADDED, ALL, REMOVED
from napari_ciml.widgets.layers.metadata import metadata_of
from napari_ciml.widgets.workbench import Workbench


def changed_layer(desk: Workbench) -> object:
    (layer,) = [la for la in desk.viewer.layers if getattr(metadata_of(la), "kind", "") == "change"]
    return layer


def test_muting_is_followed_by_itself_and_undone_by_a_key(
    segmented: Workbench, qtbot: QtBot
) -> None:
    model = segmented.session.model
    before, layer = model.segmentation, segmented.viewer.layers["segmentation"]
    click(qtbot, segmented.decomposition.role_button(0, "T2"))
    wait(qtbot, segmented)
    after = model.segmentation
    assert after is not before
    assert not np.allclose(
        before.pair_probabilities[Pair("FLAIR", "WT")],
        after.pair_probabilities[Pair("FLAIR", "WT")],
    )
    assert after.cache is before.cache
    assert segmented.viewer.layers["segmentation"] is layer
    np.testing.assert_array_equal(layer.data, after.label_map)
    panel = segmented.decomposition.change
    assert panel.isVisibleTo(segmented.decomposition)
    assert panel.summary.text() == "T2 muted for FLAIR (compared with 1: brats2020)"
    ml = after.volumes_ml["WT"] - before.volumes_ml["WT"]
    assert panel.table.item(0, 2).text() == f"{ml:+.2f}"
    assert segmented.segment.volumes.item(0, 1).text() == f"{after.volumes_ml['WT']:.1f}"
    assert [run.name for run in model.runs] == ["1: brats2020", "2: T2 muted for FLAIR"]

    press(segmented, "Alt-Z")
    wait(qtbot, segmented)
    assert model.segmentation is before
    assert segmented.decomposition.role_button(0, "T2").text() == "a"
    np.testing.assert_array_equal(layer.data, before.label_map)
    assert panel.summary.text() == "T2 unmuted for FLAIR (compared with 2: T2 muted for FLAIR)"
    click(qtbot, segmented.decomposition.redo)
    wait(qtbot, segmented)
    assert model.segmentation is after
    assert len(model.runs) == 2
    assert not segmented.decomposition.redo.isEnabled()


def test_a_threshold_by_slider_shows_what_it_adds(segmented: Workbench, qtbot: QtBot) -> None:
    model = segmented.session.model
    before = model.segmentation
    drag(segmented.decomposition.sliders.sliders["WT"], 40)
    wait(qtbot, segmented)
    after = model.segmentation
    assert after.settings.thresholds == {"WT": 0.4}
    assert len(model.runs) == 2
    layer = changed_layer(segmented)
    grown = (after.label_map > 0) & (before.label_map == 0)
    assert grown.any()
    np.testing.assert_array_equal(layer.data == ADDED, grown)
    assert not (layer.data == REMOVED).any()
    panel = segmented.decomposition.change
    assert panel.shown.currentText() == ALL
    panel.shown.setCurrentText("ET")
    panel.shown.activated.emit(panel.shown.currentIndex())
    # ET lies inside WT, so a larger WT may leave more of it, and no less.
    more = (after.label_map == 4) & (before.label_map != 4)
    np.testing.assert_array_equal(layer.data == ADDED, more)
    assert not (layer.data == REMOVED).any()
    panel.shown.setCurrentText("none")
    panel.shown.activated.emit(panel.shown.currentIndex())
    assert not layer.visible
    click(qtbot, segmented.decomposition.undo)
    wait(qtbot, segmented)
    assert model.segmentation is before
    assert segmented.decomposition.sliders.sliders["WT"].value() == 50


def test_a_pair_weighed_out_is_left_out(segmented: Workbench, qtbot: QtBot) -> None:
    model, knobs = segmented.session.model, segmented.decomposition.sliders
    drag(knobs.sliders[Pair("T2", "WT")], 0)
    wait(qtbot, segmented)
    without = model.segmentation
    assert without.settings.weights == {Pair("T2", "WT"): 0}
    drag(knobs.sliders[Pair("FLAIR", "WT")], 0)
    wait(qtbot, segmented)
    assert model.segmentation is without
    assert "Every pair that predicts WT has weight 0" in segmented.decomposition.problems.text()


def test_without_live_nothing_follows_until_it_is_on(segmented: Workbench, qtbot: QtBot) -> None:
    model = segmented.session.model
    before = model.segmentation
    click(qtbot, segmented.decomposition.live)
    click(qtbot, segmented.decomposition.role_button(0, "T2"))
    wait(qtbot, segmented)
    assert model.segmentation is before
    click(qtbot, segmented.decomposition.live)
    wait(qtbot, segmented)
    assert model.segmentation is not before


def test_specks_mirroring_and_samples_are_undone_too(segmented: Workbench, qtbot: QtBot) -> None:
    model, dock = segmented.session.model, segmented.segment
    first = model.segmentation
    click(qtbot, dock.postprocess)
    wait(qtbot, segmented)
    kept = model.segmentation
    assert not kept.settings.postprocess
    assert dock.change.isVisibleTo(dock)
    assert dock.change.summary.text() == "not postprocessed (compared with 1: brats2020)"

    click(qtbot, dock.multiscale)
    wait(qtbot, segmented)
    assert model.segmentation.settings.multiscale
    assert dock.change.summary.text() == "multiscale (compared with 2: not postprocessed)"
    press(segmented, "Alt-Z")
    wait(qtbot, segmented)
    assert model.segmentation is kept

    click(qtbot, dock.test_time_flips)
    wait(qtbot, segmented)
    assert model.segmentation is kept  # eight passes wait for Segment
    click(qtbot, dock.run)
    wait(qtbot, segmented)
    assert model.segmentation.settings.test_time_flips
    assert dock.change.summary.text() == "test-time flips (compared with 2: not postprocessed)"

    segmented.lesions.samples.setValue(2)
    wait(qtbot, segmented)
    assert model.segmentation.settings.kappa_samples == 0
    for expected in ((2, True, False), (0, True, False), (0, False, False), (0, False, True)):
        asked = model.request.options
        assert (asked.kappa_samples, asked.test_time_flips, asked.postprocess) == expected
        shown = (
            segmented.lesions.samples.value(),
            dock.test_time_flips.isChecked(),
            dock.postprocess.isChecked(),
        )
        assert shown == expected
        press(segmented, "Alt-Z")
        wait(qtbot, segmented)
    assert model.segmentation is first  # known, so it is shown and not computed again
    assert not segmented.decomposition.undo.isEnabled()


def test_an_answer_to_an_edit_before_the_last_is_dropped(
    segmented: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = segmented.session.model
    begun, go, real = Event(), Event(), engine.segment
    asked: list[object] = []

    def slow(*arguments: object) -> object:
        asked.append(arguments[3].thresholds)
        if len(asked) == 1:
            begun.set()
            go.wait(PATIENCE)
        return real(*arguments)

    monkeypatch.setattr(engine, "segment", slow)
    slider = segmented.decomposition.sliders.sliders["TC"]
    drag(slider, 45)
    wait_until(qtbot, begun.is_set)
    drag(slider, 40)
    go.set()
    wait(qtbot, segmented)
    assert [values["TC"] for values in asked] == [0.45, 0.4]
    assert [run.segmentation.settings.thresholds for run in model.runs] == [{}, {"TC": 0.4}]
    assert model.change.against == "1: brats2020"
    assert "cancelled" not in segmented.decomposition.jobs.notices.text()
    assert segmented.decomposition.error.text() == ""


def test_what_was_edited_during_a_run_is_followed(
    loaded: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, real = Event(), Event(), engine.segment

    def slow(*arguments: object) -> object:
        begun.set()
        go.wait(PATIENCE)
        return real(*arguments)

    monkeypatch.setattr(engine, "segment", slow)
    click(qtbot, loaded.segment.run)
    wait_until(qtbot, begun.is_set)
    drag(loaded.decomposition.sliders.sliders["WT"], 45)
    qtbot.waitUntil(lambda: not loaded.session.live.pending)
    go.set()
    wait(qtbot, loaded)
    wait(qtbot, loaded)
    assert loaded.session.model.segmentation.settings.thresholds == {"WT": 0.45}


def test_a_correction_is_never_overwritten(segmented: Workbench, qtbot: QtBot) -> None:
    layer = segmented.viewer.layers["segmentation"]
    layer.paint((20, 20, 20), 4)
    painted = layer.data.copy()
    click(qtbot, segmented.decomposition.role_button(0, "T2"))
    wait(qtbot, segmented)
    assert layer.name == "segmentation (edited)"
    np.testing.assert_array_equal(layer.data, painted)
    now = segmented.session.model.segmentation.label_map
    np.testing.assert_array_equal(segmented.viewer.layers["segmentation"].data, now)


def test_weights_follow_and_the_slice_stays(segmented: Workbench, qtbot: QtBot) -> None:
    model = segmented.session.model
    click(qtbot, segmented.explain.run)
    wait(qtbot, segmented)
    segmented.viewer.dims.set_current_step(0, 7)
    assert (Pair("FLAIR", "WT"), "T2") in model.explanation.weights
    before = model.explanation
    click(qtbot, segmented.decomposition.role_button(0, "T2"))
    wait(qtbot, segmented)
    assert (Pair("FLAIR", "WT"), "T2") not in model.explanation.weights
    assert segmented.viewer.dims.current_step[0] == 7
    click(qtbot, segmented.decomposition.undo)
    wait(qtbot, segmented)
    assert model.explanation is before


def test_a_failure_is_said_and_the_result_before_stays(
    segmented: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: ProgressMonitor) -> None:
        raise RuntimeError("a bug")

    before = segmented.session.model.segmentation
    monkeypatch.setattr(engine, "segment", fails)
    click(qtbot, segmented.decomposition.role_button(0, "T2"))
    wait(qtbot, segmented)
    assert "failed unexpectedly" in segmented.decomposition.error.text()
    assert segmented.session.model.segmentation is before


def test_dice_against_a_reference_that_is_loaded(segmented: Workbench, qtbot: QtBot) -> None:
    model = segmented.session.model
    labels = model.segmentation.label_map.copy()
    whole = model.segmentation.plan.decomposition
    model.findings.set_reference(Reference("another reader", labels, whole.regions))
    segmented.decomposition.sliders.sliders["WT"].setValue(40)
    wait(qtbot, segmented)
    found = segmented.session.model.change.regions["WT"]
    assert found.to_reference == (1.0, found.dice)
    text = segmented.decomposition.change.table.item(0, 3).text()
    assert text == f"{found.dice:.3f}; reference 1.000 → {found.dice:.3f}"

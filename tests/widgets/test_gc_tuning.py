"""What is left out of the search for garbage, and that layers are not."""

import gc
from pathlib import Path
from weakref import ref

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from pytestqt.qtbot import QtBot

from helpers.gui import wait_until
from napari_ciml.widgets.gc_tuning import GcThrottle, gc_paused
from napari_ciml.widgets.workbench import Workbench


def test_layers_of_a_case_are_found_when_another_one_is_opened(
    loaded: Workbench, case_folder: Path, qtbot: QtBot
) -> None:
    before = [ref(layer) for layer in loaded.session.layers.modalities()]
    assert gc.get_freeze_count() > 100_000
    loaded.case.open(case_folder)
    wait_until(qtbot, lambda: not loaded.session.jobs.main.busy)
    wait_until(qtbot, lambda: gc.collect() >= 0 and not any(layer() for layer in before))
    assert gc.get_freeze_count() > 100_000
    loaded.session.close()
    assert gc.get_freeze_count() == 0


def test_a_layer_that_was_there_before_is_found_once_it_is_removed() -> None:
    viewer, thresholds = ViewerModel(), gc.get_threshold()
    viewer.add_layer(Image(np.zeros((2, 2))))
    throttle = GcThrottle(viewer)
    throttle.start(viewer)
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() != thresholds
    viewer.add_layer(Image(np.zeros((3, 3))))
    viewer.layers.remove(viewer.layers[1])
    assert gc.get_freeze_count() > 0
    viewer.layers.remove(viewer.layers[0])
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, thresholds)
    throttle.start(viewer)
    assert gc.get_freeze_count() == 0


def test_nothing_is_collected_while_importing() -> None:
    found: list[str] = []

    def on_collection(phase: str, _: object) -> None:
        found.append(phase)

    gc.callbacks.append(on_collection)
    try:
        with gc_paused():
            kept = [[] for _ in range(10_000)]
            assert found == []
        assert len(gc.get_objects(generation=0)) < len(kept)
        found.clear()
        gc.collect()
        assert found[-1] == "stop"
    finally:
        gc.callbacks.remove(on_collection)
    assert gc.isenabled()
    assert len(kept) == 10_000

"""Looking at a case with real keys and a real mouse, and what is on the canvas then."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import LayerList
from napari.layers import Image, Labels
from napari.utils.shortcuts import default_shortcuts
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QWidget

from helpers import gui
from helpers.cases import write_case
from helpers.gui import LEFT, canvas, layer_names, visible_names, wait, wait_until
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.widgets.display import window_level
from napari_ciml.widgets.display.key_bindings import ACTIONS, REDO, UNDO
from napari_ciml.widgets.display.linked_layers import LinkedLayer, is_linked_copy, reorder_layers
from napari_ciml.widgets.event_loop import run_stepwise
from napari_ciml.widgets.layers.case_layers import brain_layer
from napari_ciml.widgets.layers.colormaps import label_colours
from napari_ciml.widgets.workbench import Workbench

MIDDLE = Qt.MouseButton.MiddleButton
CONTROL, SHIFT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)


@pytest.fixture
def press(loaded: Workbench, qtbot: QtBot) -> Callable[[str], None]:
    """Press a key: in a window on the canvas, else as the canvas would pass it on."""

    def press_and_wait(key: str) -> None:
        if isinstance(loaded.viewer, Viewer):
            shift = key.startswith("Shift-")
            qtbot.keyClick(canvas(loaded), key[-1], SHIFT if shift else NONE)
        else:
            gui.press(loaded, key)
        wait(qtbot, loaded)

    return press_and_wait


def drag(
    qtbot: QtBot,
    widget: QWidget,
    by: tuple[int, int],
    button: Qt.MouseButton,
    modifier: Qt.KeyboardModifier = NONE,
    start: tuple[int, int] | None = None,
) -> None:
    first = QPoint(*start) if start else widget.rect().center()
    qtbot.mousePress(widget, button, modifier, first)
    for share in (0.5, 1):
        place = first + QPoint(round(share * by[0]), round(share * by[1]))
        qtbot.mouseMove(widget, place)
        qtbot.wait(30)
    qtbot.mouseRelease(widget, button, modifier, first + QPoint(*by))


def with_labels(desk: Workbench) -> Labels:
    """Fill the segmentation with a block, as a run would."""
    layer = desk.viewer.layers["segmentation"]
    data = np.zeros_like(layer.data)
    data[18:22, 18:24, 20:30] = 4
    layer.data, layer.visible = data, True
    return layer


@pytest.mark.window(shown=False)
def test_no_key_is_taken_from_napari(loaded: Workbench) -> None:
    ours = {action.key.replace("Shift-", "Shift+") for action in ACTIONS}
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    for layer in type(loaded.viewer.layers[0]).__mro__ + Labels.__mro__:
        taken |= {str(key) for key in getattr(layer, "class_keymap", {})}
    taken |= {str(key) for key in type(loaded.viewer).class_keymap}
    ours |= {key.replace("-", "+") for key in (UNDO, REDO)}
    menus = loaded.viewer.window._qt_window.menuBar().actions()
    for menu in (action.menu() for action in menus if action.menu()):
        taken |= {action.shortcut().toString() for action in menu.actions()}
    assert len(ours) == len(ACTIONS) + 2
    assert not ours & taken


def test_every_key_is_in_the_dock_and_in_the_documentation(loaded: Workbench) -> None:
    keys = (Path(__file__).parents[2] / "docs" / "reference" / "keyboard.md").read_text()
    for action in ACTIONS:
        assert loaded.view.buttons[action.title].toolTip() == action.tip
        key = action.key.replace("Shift-", "Shift + ")
        assert re.search(rf"\| {re.escape(key)} \| {action.title}", keys), action.title


def test_letters_follow_the_plane(loaded: Workbench) -> None:
    overlays = loaded.viewer.canvas.overlays

    def letters() -> str:
        sides = ("left", "right", "top", "bottom")
        assert all(overlays[f"ciml_{side}"].visible for side in sides)
        return "".join(overlays[f"ciml_{side}"].text for side in sides)

    assert letters() == "RLAP"
    assert overlays.scale_bar.visible
    loaded.viewer.dims.order = (1, 0, 2)
    assert letters() == "RLSI"
    loaded.viewer.dims.order = (2, 0, 1)
    assert letters() == "APSI"
    loaded.viewer.dims.ndisplay = 3
    assert not overlays["ciml_left"].visible


@pytest.mark.window
def test_the_left_is_where_the_letter_is(desk: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    """A bright spot in the patient's left front comes to lie near L and A, whatever the file."""
    import SimpleITK as sitk

    values = np.zeros((20, 30, 30), np.float32)
    values[2:18, 2:28, 2:28] = 100
    values[2:18, 4:8, 20:26] = 1000
    image = Grid((30, 30, 20), (2.0, 2.0, 3.0), (-30.0, -30.0, -30.0)).to_sitk(values)
    for code in ("LPS", "RAS", "SLP"):
        folder = tmp_path / code
        folder.mkdir()
        sitk.WriteImage(sitk.DICOMOrient(image, code), str(folder / "spot_flair.nii.gz"))
        desk.case.open(folder)
        wait(qtbot, desk)
        overlays = desk.viewer.canvas.overlays
        assert [overlays[f"ciml_{side}"].text for side in ("right", "top")] == ["L", "A"]
        for name in ("ciml_left", "ciml_right", "ciml_top", "ciml_bottom", "ciml_corner"):
            overlays[name].visible = False
        overlays.scale_bar.visible = False
        picture = desk.viewer.screenshot(flash=False)[..., 0]
        rows, columns = (picture > 0.9 * picture.max()).nonzero()
        assert rows.mean() < picture.shape[0] / 2
        assert columns.mean() > picture.shape[1] / 2


def test_next_and_previous_modality(loaded: Workbench, press: Callable[[str], None]) -> None:
    order = list(loaded.session.model.case.images)
    assert visible_names(loaded) == ["FLAIR"]
    press("N")
    assert visible_names(loaded) == [order[(order.index("FLAIR") + 1) % 4]]
    press("Shift-N")
    press("Shift-N")
    assert visible_names(loaded) == [order[(order.index("FLAIR") - 1) % 4]]


@pytest.mark.window
def test_dragging_changes_window_and_level(loaded: Workbench, qtbot: QtBot) -> None:
    layer = loaded.viewer.layers["FLAIR"]
    centre = loaded.viewer.scene.camera.center

    def window() -> tuple[float, float]:
        low, high = layer.contrast_limits
        return high - low, (low + high) / 2

    width, level = window()
    drag(qtbot, canvas(loaded), (60, 0), MIDDLE)
    wider, same = window()
    assert wider == pytest.approx(width * np.exp(60 / 300), rel=1e-3)
    assert same == pytest.approx(level, rel=1e-3)
    assert loaded.viewer.scene.camera.center == centre
    drag(qtbot, canvas(loaded), (0, -60), LEFT, CONTROL)
    # Upwards: a lower level, so a brighter picture.
    assert window()[1] == pytest.approx(same - wider * 60 / 300, rel=1e-3)
    corner = loaded.viewer.canvas.overlays["ciml_corner"].text
    assert window_level.describe_window(layer.contrast_limits) in corner

    before = tuple(layer.contrast_limits)
    drag(qtbot, canvas(loaded), (0, -60), LEFT)
    assert tuple(layer.contrast_limits) == before
    assert loaded.viewer.scene.camera.center != centre

    # A labels tool is left alone.
    labels = with_labels(loaded)
    loaded.viewer.layers.selection.active = labels
    labels.mode = "paint"
    drag(qtbot, canvas(loaded), (60, 0), LEFT, CONTROL)
    assert tuple(layer.contrast_limits) == before


def test_windows_by_name(loaded: Workbench, press: Callable[[str], None], qtbot: QtBot) -> None:
    layer, image = loaded.viewer.layers["FLAIR"], loaded.session.model.case.images["FLAIR"]
    usual = tuple(layer.contrast_limits)
    press("W")
    assert tuple(layer.contrast_limits) != usual
    assert loaded.view.windows.currentText() == window_level.MR_WINDOWS[1].name
    press("Shift-W")
    assert tuple(layer.contrast_limits) == pytest.approx(usual)
    bright = window_level.MR_WINDOWS[3]
    loaded.view.windows.setCurrentIndex(3)
    loaded.view.windows.activated.emit(3)
    inside = image[image != 0]
    assert layer.contrast_limits[0] == pytest.approx(np.percentile(inside, 50), rel=0.02)
    assert bright.name in loaded.viewer.canvas.overlays["ciml_corner"].text


def test_labels_by_key(loaded: Workbench, press: Callable[[str], None]) -> None:
    labels = with_labels(loaded)
    press("Q")
    assert labels.contour == 1
    press("Q")
    assert labels.contour == 0
    press("H")
    assert not labels.visible
    press("H")
    assert labels.visible
    # What was hidden before stays so, and what is a contour by its nature is never filled.
    placement = {"scale": labels.scale, "translate": labels.translate, "units": labels.units}
    other = loaded.viewer.add_labels(labels.data.copy(), visible=False, **placement)
    brain = brain_layer(loaded.session.model.case, np.ones(labels.data.shape, bool))
    loaded.viewer.add_layer(brain)
    press("H")
    assert not labels.visible
    press("H")
    assert (labels.visible, brain.visible, other.visible) == (True, True, False)
    press("Q")
    press("Q")
    assert (labels.contour, brain.contour) == (0, 1)
    for layer in (other, brain):
        loaded.viewer.layers.remove(layer)
    opacity = labels.opacity
    press(",")
    assert labels.opacity == pytest.approx(opacity - 0.1)
    press(".")
    press(".")
    assert labels.opacity == pytest.approx(opacity + 0.1)
    assert loaded.viewer.layers["FLAIR"].opacity == 1
    press("U")
    assert not loaded.viewer.canvas.overlays["ciml_left"].visible


@pytest.mark.window
def test_modalities_side_by_side_and_back(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot
) -> None:
    labels = with_labels(loaded)
    before, zoom = layer_names(loaded), loaded.viewer.scene.camera.zoom
    press("G")
    grid = loaded.viewer.canvas.grid
    assert grid.enabled
    assert grid.actual_shape(loaded.viewer.layers) == (2, 2)
    places = ((0, 0), (0, 1), (1, 0), (1, 1))
    for place, modality in zip(places, loaded.session.model.case.images, strict=True):
        inside = [loaded.viewer.layers[k] for k in grid.contents_at(place, loaded.viewer.layers)]
        assert [layer.visible for layer in inside] == [True, True]
        assert inside[0].name == modality
        assert inside[1] is labels or is_linked_copy(inside[1])
        assert inside[1].data is labels.data
    assert loaded.finetune.labels.count() == 2

    press("Q")
    assert all(la.contour for la in loaded.viewer.layers if isinstance(la, Labels))
    widget = canvas(loaded)
    start = (widget.width() * 3 // 4, widget.height() // 4)
    untouched = tuple(loaded.viewer.layers["FLAIR"].contrast_limits)
    second = loaded.viewer.layers[list(loaded.session.model.case.images)[1]]
    limits = tuple(second.contrast_limits)
    drag(qtbot, widget, (40, 0), MIDDLE, start=start)
    assert tuple(second.contrast_limits) != limits
    assert tuple(loaded.viewer.layers["FLAIR"].contrast_limits) == untouched

    press("G")
    assert not grid.enabled
    assert layer_names(loaded) == before
    assert visible_names(loaded) == ["FLAIR", "segmentation"]
    assert loaded.viewer.scene.camera.zoom == pytest.approx(zoom)


def test_a_run_while_side_by_side_shows_in_every_pane(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot
) -> None:
    press("G")
    gui.run_segment(qtbot, loaded)
    result = loaded.session.model.segmentation.label_map
    panes = [layer for layer in loaded.viewer.layers if isinstance(layer, Labels)]
    assert len(panes) == 4
    for layer in panes:
        assert layer.visible
        np.testing.assert_array_equal(layer.data, result)
    drawn = loaded.viewer.layers["segmentation"]
    drawn.paint((20, 20, 20), 1)
    assert all(layer.data[20, 20, 20] == 1 for layer in panes)


def test_another_layer_is_hung_beside_the_others(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot
) -> None:
    press("G")
    hanging = loaded.session.display.layouts.side_by_side
    seen = loaded.viewer.scene.camera.zoom
    loaded.viewer.add_labels(np.ones((20, 22, 24), np.uint8), name="mine", scale=(3, 3, 3))
    over = [layer for layer in loaded.viewer.layers if layer.name.startswith("mine")]
    assert len(over) == 1
    wait_until(
        qtbot, lambda: sum(layer.name.startswith("mine") for layer in loaded.viewer.layers) == 4
    )
    wait_until(qtbot, lambda: not hanging.busy)
    assert hanging.shown
    assert loaded.viewer.canvas.grid.enabled
    assert loaded.viewer.scene.camera.zoom == pytest.approx(seen)


def test_a_mirror_follows_colours_for_as_long_as_it_is_open() -> None:
    original = Labels(np.eye(4, dtype=np.uint8))
    mirror = LinkedLayer(original)
    assert isinstance(mirror.layer, Labels)
    for preset in ("brats2020", "brats2020", "autopet", "brats2020"):
        colours = label_colours(PRESETS[preset].regions)
        original.colormap = colours
        np.testing.assert_array_equal(mirror.layer.get_color(4), original.get_color(4))
    original.opacity = 0.25
    assert mirror.layer.opacity == 0.25
    mirror.close()
    original.opacity = 0.5
    original.colormap = label_colours(PRESETS["autopet"].regions)
    assert mirror.layer.opacity == 0.25
    assert not np.array_equal(mirror.layer.get_color(4), original.get_color(4))


@pytest.mark.parametrize(
    ("key", "arrangement"), [("G", "panes"), pytest.param("K", "planes", marks=pytest.mark.window)]
)
def test_another_case_is_arranged_as_the_one_before(
    loaded: Workbench,
    press: Callable[[str], None],
    qtbot: QtBot,
    tmp_path: Path,
    key: str,
    arrangement: str,
) -> None:
    press(key)
    other = write_case(tmp_path / "other", Grid((20, 22, 24), (3.0,) * 3, (0.0,) * 3))
    loaded.case.open(other)
    wait(qtbot, loaded)
    assert loaded.session.model.case.grid.size == (20, 22, 24)
    assert loaded.session.display.layouts.current == arrangement
    assert loaded.viewer.canvas.grid.enabled == (arrangement == "panes")
    press(key)
    assert layer_names(loaded) == ["T2", "T1CE", "T1", "FLAIR", "segmentation"]
    assert [layer.name for layer in loaded.viewer.layers if layer.visible] == ["FLAIR"]
    assert not loaded.viewer.canvas.grid.enabled


@pytest.mark.window
def test_three_planes_share_a_point(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot
) -> None:
    labels = with_labels(loaded)
    before, steps = layer_names(loaded), loaded.viewer.dims.nsteps
    press("K")
    coronal, sagittal = loaded.session.display.layouts.orthogonal_views.views
    assert loaded.viewer.dims.nsteps == steps
    assert coronal.annotations.orientation.plane == "coronal"
    assert sagittal.annotations.orientation.plane == "sagittal"
    assert coronal.model.scene.camera.orientation[1] == "up"
    loaded.viewer.dims.point = (10.0, 3.0, -4.0)
    assert coronal.model.dims.point == loaded.viewer.dims.point
    coronal.model.dims.set_point(1, 9.0)
    assert loaded.viewer.dims.point == (10.0, 9.0, -4.0)
    assert sagittal.model.dims.point == (10.0, 9.0, -4.0)
    cross = loaded.viewer.layers["crosshair"]
    starts = cross.data[:, 0] * cross.scale + cross.translate
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        np.testing.assert_allclose(starts[axis][others], np.array((10.0, 9.0, -4.0))[others])

    # What is painted in one plane is in all, and contours too.
    labels.paint((20, 5, 5), 4)
    assert coronal.linked_layers[labels].layer.data[20, 5, 5] == 4
    press("Q")
    assert coronal.linked_layers[labels].layer.contour == 1
    press("N")
    assert [m.layer.visible for o, m in coronal.linked_layers.items() if o.name == "FLAIR"] == [
        False
    ]

    press("K")
    assert layer_names(loaded) == before
    press("K")
    assert loaded.session.display.layouts.orthogonal_views.shown


@pytest.mark.window
def test_the_mouse_in_further_planes(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click moves the crosshair; dragging and asking why are as in the axial plane."""
    press("K")
    coronal = loaded.session.display.layouts.orthogonal_views.views[0]
    widget = coronal.canvas.canvas.native
    y = loaded.viewer.dims.point[1]
    place = QPoint(widget.width() // 4, widget.height() // 4)
    qtbot.mouseMove(widget, place)
    qtbot.mouseClick(widget, LEFT, pos=place)
    z, same, x = loaded.viewer.dims.point
    # Up and to the left in a coronal plane: towards the head, and the patient's right.
    middle = [(span.start + span.stop) / 2 for span in loaded.viewer.dims.range]
    assert same == y
    assert z > middle[0]
    assert x < middle[2]

    flair = loaded.viewer.layers["FLAIR"]
    low, high = flair.contrast_limits
    drag(qtbot, widget, (60, 0), LEFT, Qt.KeyboardModifier.ControlModifier)
    wider = flair.contrast_limits
    assert wider[1] - wider[0] > 1.1 * (high - low)
    assert coronal.linked_layers[flair].layer.contrast_limits == wider
    asked = []
    monkeypatch.setattr(loaded.session.explanation, "ask_at", asked.append)
    middle = widget.rect().center()
    qtbot.mouseMove(widget, middle)
    qtbot.mouseClick(widget, LEFT, Qt.KeyboardModifier.ShiftModifier, middle)
    (voxel,) = asked
    grid = loaded.session.model.case.grid
    slice_of = (loaded.viewer.dims.point[1] - grid.translate[1]) / grid.scale[1]
    assert voxel[1] == round(slice_of)


@pytest.mark.window
def test_three_planes_zoom_together_around_the_point(
    loaded: Workbench, press: Callable[[str], None], qtbot: QtBot
) -> None:
    press("K")
    planes, main = loaded.session.display.layouts.orthogonal_views, loaded.viewer
    coronal = planes.views[0].model
    cameras = [main.scene.camera, *(plane.model.scene.camera for plane in planes.views)]
    before = [camera.zoom for camera in cameras]
    main.dims.point = (10.0, 6.0, -7.0)
    z, x = coronal.scene.camera.center[-2:]
    place = ((10 - z) * before[1], (-7 - x) * before[1])
    main.scene.camera.zoom *= 2
    assert [c.zoom for c in cameras] == pytest.approx([2 * zoom for zoom in before], rel=1e-3)
    z, x = coronal.scene.camera.center[-2:]
    # The point stays where it was on the canvas.
    assert ((10 - z) * 2 * before[1], (-7 - x) * 2 * before[1]) == pytest.approx(place, rel=1e-3)
    press("Shift-J")
    coronal.scene.camera.zoom *= 3
    assert main.scene.camera.zoom == pytest.approx(2 * before[0], rel=1e-3)

    # A scale leaves room for the letter.
    bar = coronal.canvas.overlays["scale_bar"]
    for zoom in (0.5, 1.0, 4.0, 40.0):
        coronal.scene.camera.zoom = zoom
        assert 30 <= bar.length * zoom <= 80
    assert loaded.viewer.canvas.overlays["scale_bar"].length is None


def test_steps_let_the_loop_turn(qtbot: QtBot) -> None:
    """A timer that is due is heard between any two steps."""
    heard: list[str] = []
    timer = QTimer()
    timer.timeout.connect(lambda: heard.append("timer"))
    timer.start(0)

    def steps() -> Iterator[None]:
        for _ in range(3):
            heard.append("step")
            yield

    run_stepwise(steps(), lambda: heard.append("end"))
    wait_until(qtbot, lambda: "end" in heard)
    order = [word for k, word in enumerate(heard) if k == 0 or word != heard[k - 1]]
    assert order[:7] == ["step", "timer", "step", "timer", "step", "timer", "end"]


def test_every_order_can_be_had() -> None:
    for wanted in permutations(range(5)):
        layers = LayerList(Image(np.zeros((2, 2)), name=str(k)) for k in range(5))
        reorder_layers(layers, [layers[k] for k in wanted])
        assert [layer.name for layer in layers] == [str(k) for k in wanted]
    heard: list[str] = []
    layers.events.reordered.connect(lambda: heard.append("reordered"))
    reorder_layers(layers, [layers[3], layers[1]])
    assert [layer.name for layer in layers] == ["1", "3", "4", "2", "0"]
    reorder_layers(layers, list(layers))
    assert heard == ["reordered"]


@pytest.mark.window
def test_a_turn_adds_or_shows_one_layer(loaded: Workbench, qtbot: QtBot) -> None:
    """Each takes napari up to a tenth of a second: two would hold the window up."""
    with_labels(loaded)
    looking, viewer = loaded.session.display, loaded.viewer
    happened: list[str] = []
    turn = QTimer()
    turn.timeout.connect(lambda: happened.append("turn"))
    turn.start(0)

    def listen(layers: LayerList) -> None:
        def added(event: Any) -> None:
            happened.append("added")
            event.value.events.visible.connect(lambda: happened.append("shown"))

        layers.events.inserted.connect(added)

    for layer in looking.layers.modalities():
        layer.events.visible.connect(lambda: happened.append("shown"))
    listen(viewer.layers)
    for key in ("G", "G", "K", "K"):
        qtbot.keyClick(canvas(loaded), key)
        if key == "K" and not looking.layouts.orthogonal_views.views:
            wait_until(qtbot, lambda: len(looking.layouts.orthogonal_views.views) > 0)
            listen(looking.layouts.orthogonal_views.views[0].model.layers)
        wait(qtbot, loaded)
    turn.stop()
    done = ["".join(words) for heard, words in groupby(happened, "turn".__ne__) if heard]
    assert set(done) <= {"added", "shown"}
    assert done.count("added") > 4
    assert done.count("shown") > 8


def test_3d_is_not_mirrored(loaded: Workbench, press: Callable[[str], None]) -> None:
    camera = loaded.viewer.scene.camera
    loaded.viewer.dims.set_current_step(0, 13)
    camera.zoom, camera.center = 3.5, (0.0, 4.0, -6.0)
    point = loaded.viewer.dims.point
    press("Shift-K")
    assert loaded.viewer.dims.ndisplay == 3
    np.testing.assert_allclose(camera.view_direction, (0, 1, 0), atol=1e-6)
    np.testing.assert_allclose(camera.up_direction, (1, 0, 0), atol=1e-6)
    assert camera.orientation == ("away", "down", "right")
    press("Shift-K")
    assert loaded.viewer.dims.ndisplay == 2
    assert loaded.viewer.dims.point == point
    assert (camera.zoom, camera.center) == (3.5, (0.0, 4.0, -6.0))

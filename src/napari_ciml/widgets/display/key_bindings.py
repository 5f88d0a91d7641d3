"""All key bindings of the plugin, as data: bound to the canvas, listed in *View* and the guide."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ciml.widgets.display.display import DisplayController

if TYPE_CHECKING:
    from napari.components import ViewerModel


UNDO, REDO = "Alt-Z", "Alt-Shift-Z"
"""Undo and redo of edits of the request; Ctrl-Z is napari's, for strokes."""

NEXT_CASE, PREVIOUS_CASE = "Control-PageDown", "Control-PageUp"
ERASE = "Alt-0"
MOST_BRUSH_KEYS = 9


@dataclass(frozen=True)
class Action:
    """Something that a key and a button of the dock widget *View* trigger.

    Parameters
    ----------
    key : str
        Key in napari's notation, as ``Shift-K``.
    title, tip : str
        Text of the button and its tooltip.
    run : callable
        Called with the display controller and the viewer in which the key was pressed.
    """

    key: str
    title: str
    tip: str
    run: Callable[[DisplayController, "ViewerModel"], None]


def brush_key(number: int) -> str:
    """Return the key that selects the brush of a region, counted from 1."""
    return f"Alt-{number}"


def key_text(key: str) -> str:
    """Return a key as the user reads it, as ``Shift + K``."""
    return (
        key.replace("Control-", "Ctrl + ").replace("Shift-", "Shift + ").replace("Alt-", "Alt + ")
    )


ACTIONS = (
    Action(
        "G",
        "Modalities side by side",
        "Show every modality in its own pane with the labels on top, linked; or one pane again.",
        lambda display, _: display.layouts.toggle("panes"),
    ),
    Action(
        "K",
        "Three planes",
        "Show three orthogonal planes with a crosshair that a click moves; or one plane again.",
        lambda display, _: display.layouts.toggle("planes"),
    ),
    Action(
        "Shift-K",
        "3-D",
        "Show the volume in 3-D from the front, head up; or a plane again.",
        lambda display, _: display.toggle_3d(),
    ),
    Action(
        "J",
        "Crosshair to the mouse",
        "Move the crosshair and every plane to the voxel under the mouse.",
        lambda display, viewer: display.move_crosshair_to_cursor(viewer),
    ),
    Action(
        "Shift-J",
        "Zoom together",
        "Zoom the three planes together around the crosshair; or each on its own.",
        lambda display, _: display.toggle_linked_zoom(),
    ),
    Action(
        "N",
        "Next modality",
        "Show the next modality at the same position.",
        lambda display, _: display.next_modality(),
    ),
    Action(
        "Shift-N",
        "Previous modality",
        "Show the previous modality at the same position.",
        lambda display, _: display.next_modality(-1),
    ),
    Action(
        "W",
        "Next window",
        "Apply the next window/level preset of this modality.",
        lambda display, _: display.next_window(),
    ),
    Action(
        "Shift-W",
        "Previous window",
        "Apply the previous window/level preset of this modality.",
        lambda display, _: display.next_window(-1),
    ),
    Action(
        "H",
        "Hide labels",
        "Hide the labels to see the image beneath; or show them again.",
        lambda display, _: display.overlays.toggle_labels(),
    ),
    Action(
        "Q",
        "Contours",
        "Show segmentation and reference as contours; or filled.",
        lambda display, _: display.overlays.toggle_outline(),
    ),
    Action(
        ".",
        "More opaque",
        "Make labels and maps more opaque.",
        lambda display, _: display.overlays.change_opacity(),
    ),
    Action(
        ",",
        "Less opaque",
        "Make labels and maps less opaque.",
        lambda display, _: display.overlays.change_opacity(-1),
    ),
    Action(
        "U",
        "Letters and scale",
        "Show orientation letters, a scale bar and the window/level at the borders; or hide them.",
        lambda display, _: display.toggle_annotations(),
    ),
)

SHORTCUTS = (
    (
        "Ctrl + drag, or middle button",
        "Window/level: right is wider, up is brighter. Not while a labels tool is active.",
    ),
    ("Click, in three planes", "Moves the crosshair."),
    ("Mouse wheel; Ctrl + wheel", "napari: zooms; scrolls through slices."),
    (
        f"{key_text(NEXT_CASE)}; {key_text(PREVIOUS_CASE)}",
        "Worklist: saves this case and opens the next; the previous.",
    ),
    ("Ctrl + Z; Ctrl + Shift + Z", "napari: undoes; redoes a brush stroke."),
    (f"{key_text(UNDO)}; {key_text(REDO)}", "Undoes; redoes an edit of the decomposition."),
    (
        f"{key_text(brush_key(1))}, {key_text(brush_key(2))}, ...; {key_text(ERASE)}",
        "Correct: selects the brush of a region; the eraser.",
    ),
    ("Space; double click", "Lesions: marks the selected lesion as reviewed; explains it."),
    ("Shift + click", "Explains the lesion or voxel under the mouse: weights and maps."),
)
"""Mouse gestures and the keys that other dock widgets bind."""


def bind_keys(display: DisplayController, viewer: "ViewerModel") -> None:
    """Bind the keys of all actions to a viewer's canvas, and to the canvases added to it later."""
    display.canvas_added.connect(lambda added: _bind_actions(display, added))
    _bind_actions(display, viewer)


def _bind_actions(display: DisplayController, viewer: "ViewerModel") -> None:
    for action in ACTIONS:
        viewer.bind_key(action.key, _handler(action, display), overwrite=True)


def _handler(action: Action, display: DisplayController) -> Callable[["ViewerModel"], None]:
    def on_key(viewer: "ViewerModel") -> None:
        action.run(display, viewer)

    return on_key

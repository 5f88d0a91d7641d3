"""Every key of the plugin, as data: bound to the canvas, listed in *View* and in the guide."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ciml.widgets.display.display import DisplayController

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True)
class Action:
    """What can be asked for by a key and by a button.

    Parameters
    ----------
    key : str
        As napari writes it.
    title, tip : str
        In the user's words.
    ask : callable
        Takes the controller and the viewer in which the key was pressed.
    """

    key: str
    title: str
    tip: str
    ask: Callable[[DisplayController, "ViewerModel"], None]


ACTIONS = (
    Action(
        "G",
        "Modalities side by side",
        "Every modality in a pane of its own with the labels over it, one camera; or one again.",
        lambda looking, _: looking.arranging.toggle("panes"),
    ),
    Action(
        "K",
        "Three planes",
        "Axial, coronal and sagittal with a crosshair that a click moves; or one plane again.",
        lambda looking, _: looking.arranging.toggle("planes"),
    ),
    Action(
        "Shift-K",
        "3-D",
        "The volume seen from the front, head up; or a plane again.",
        lambda looking, _: looking.toggle_3d(),
    ),
    Action(
        "J",
        "Crosshair to the mouse",
        "Move every plane to the voxel under the mouse.",
        lambda looking, model: looking.move_crosshair_to_cursor(model),
    ),
    Action(
        "Shift-J",
        "Zoom together",
        "In three planes, zoom all of them at once around the crosshair; or each by itself.",
        lambda looking, _: looking.toggle_linked_zoom(),
    ),
    Action(
        "N",
        "Next modality",
        "Show the next modality of the case in the same place.",
        lambda looking, _: looking.next_modality(),
    ),
    Action(
        "Shift-N",
        "Previous modality",
        "Show the modality before in the same place.",
        lambda looking, _: looking.next_modality(-1),
    ),
    Action(
        "W",
        "Next window",
        "Take the next brightness and contrast there is for this modality.",
        lambda looking, _: looking.next_window(),
    ),
    Action(
        "Shift-W",
        "Previous window",
        "Take the brightness and contrast before.",
        lambda looking, _: looking.next_window(-1),
    ),
    Action(
        "H",
        "Hide labels",
        "Hide the labels to see what is beneath them; or show them again.",
        lambda looking, _: looking.overlaid.toggle_labels(),
    ),
    Action(
        "Q",
        "Contours",
        "Show segmentation and reference as contours; or filled.",
        lambda looking, _: looking.overlaid.toggle_outline(),
    ),
    Action(
        ".",
        "More opaque",
        "Make labels and maps more opaque.",
        lambda looking, _: looking.overlaid.change_opacity(),
    ),
    Action(
        ",",
        "Less opaque",
        "Make labels and maps more transparent.",
        lambda looking, _: looking.overlaid.change_opacity(-1),
    ),
    Action(
        "U",
        "Letters and scale",
        "The sides of the patient, a scale in mm and the window at the borders; or none.",
        lambda looking, _: looking.toggle_annotations(),
    ),
)

GESTURES = (
    (
        "Ctrl + drag, or middle button",
        "Window: to the right wider, upwards brighter. Not while a labels tool is chosen.",
    ),
    ("Click, in three planes", "Moves the crosshair."),
    ("Mouse wheel; Ctrl + wheel", "napari's own: zooms; goes through slices."),
    (
        "Ctrl-PageDown, Ctrl-PageUp",
        "Worklist: saves this case and goes to the next one, the one before.",
    ),
    ("Ctrl-Z, Ctrl-Shift-Z", "napari's own: undo and redo what was painted."),
    ("Alt-Z, Alt-Shift-Z", "Undo and redo an edit of the decomposition."),
    ("Alt-1, Alt-2, ...; Alt-0", "Correct: paints a region; erases."),
    ("Space; double click", "Lesions: ticks the one in the list as seen; asks why of it."),
    ("Shift + click", "Asks why: maps and weights for the lesion, or voxel, under the mouse."),
)


def bind(looking: DisplayController, model: "ViewerModel") -> None:
    """Bind every key to a viewer's canvas."""
    for action in ACTIONS:
        model.bind_key(action.key, _handler(action, looking), overwrite=True)


def _handler(action: Action, looking: DisplayController) -> Callable[["ViewerModel"], None]:
    def pressed(model: "ViewerModel") -> None:
        action.ask(looking, model)

    return pressed

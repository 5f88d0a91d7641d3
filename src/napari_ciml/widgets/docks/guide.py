"""The dock widget *Guide*: five steps on the sample case, each with a button that does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from napari_ciml.paths import sample_data
from napari_ciml.widgets.controllers.session import Session
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_START = "New here? Five steps on a made-up case, a few minutes. Each button does what it says."
_END = (
    "That is all there is to it. Now open a case of your own in <b>Case</b>. The keys are listed "
    "in <b>View</b>; what a checkpoint can and cannot do stands under <b>About ...</b> in "
    "<b>Segment</b>."
)


@dataclass(frozen=True)
class Step:
    """One step of the walk-through.

    Parameters
    ----------
    title, text : str
        What it is, and what to notice.
    press : str
        What its button says.
    tip : str
        What its button does.
    do : callable
        Does it, given the session.
    done : callable
        Whether it is done, however the user did it.
    """

    title: str
    text: str
    press: str
    tip: str
    do: Callable[[Session], None]
    done: Callable[[Session], bool]


def _paint(session: Session) -> None:
    """Take up the brush on the segmentation."""
    session.display.layouts.arrange("single")
    layer = session.layers.segmentation()
    if layer is not None:
        viewer = session.layers.viewer
        viewer.layers.selection.active = layer
        layer.visible, layer.contour = True, 0
        layer.mode, layer.brush_size = "paint", 5


def _arranged(session: Session) -> bool:
    return session.display.layouts.current != "single"


STEPS = (
    Step(
        "Open a case",
        "A case is a folder with one file per modality. In Case you see which file is taken for "
        "which modality.",
        "Open the sample case",
        "Open the phantom that ships: FLAIR, T1, T1CE and T2.",
        lambda session: session.open(sample_data() / "glioma"),
        lambda session: session.model.case is not None,
    ),
    Step(
        "Look",
        "All modalities side by side, one camera: wheel to zoom, drag to move, the slider below "
        "for slices. R is the patient's right. Key G goes there and back, K shows three planes.",
        "Show them side by side",
        "Every modality in a pane of its own; or back to one.",
        lambda session: session.display.layouts.toggle("panes"),
        _arranged,
    ),
    Step(
        "Segment",
        "Decomposition says which modality is primary for which region and which only assist. "
        "The result lies over every modality, its volumes in Segment.",
        "Segment it",
        "Segment the case with the checkpoint that ships; takes seconds.",
        lambda session: session.segmentation.segment(),
        lambda session: session.model.segmentation is not None,
    ),
    Step(
        "Explain",
        "For every primary modality and region: how much each auxiliary added, and where. Choose "
        "a bar in Explain to see its map.",
        "Explain it",
        "Map what each auxiliary modality added.",
        lambda session: session.segmentation.explain(),
        lambda session: session.model.explanation is not None,
    ),
    Step(
        "Correct, and let it learn",
        "Paint over what is wrong: left button, keys [ and ] change the brush, Ctrl-Z undoes. "
        "What you painted is yours. Fine-tune then learns from it: Learn from this.",
        "Take the brush",
        "Choose napari's brush on the segmentation.",
        _paint,
        lambda session: session.autosave.has_edits,
    ),
)


class GuideWidget(Dock):
    """The first five minutes.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        In which it is done.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer, scrolls=True)
        self.completed = [False] * len(STEPS)
        self.titles: list[QLabel] = []
        self.buttons: list[QPushButton] = []
        self.column.addWidget(WrappingLabel(_START))
        for step in STEPS:
            self.column.addWidget(self._step(step))
        self.end = WrappingLabel()
        self.jobs = JobBar(self, "Opening", "Loading", "Segmenting", "Explaining")
        self.column.addWidget(self.jobs)
        self.column.addWidget(self.end)
        self.column.addStretch()
        self.add_footer()
        model = self.model
        for happened in (
            model.case_changed,
            model.segmentation_changed,
            model.explanation_changed,
            self.session.display.changed,
        ):
            happened.connect(self._notice)
        self.viewer.layers.events.inserted.connect(self._watch)
        for layer in self.viewer.layers:
            self._watch_layer(layer)
        self._notice()

    def _step(self, step: Step) -> QFrame:
        frame = QFrame()
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 4, 0, 4)
        title = QLabel()
        made = button(step.press, step.tip)
        made.clicked.connect(lambda: self.run_intent(step.do, self.session))
        self.titles.append(title)
        self.buttons.append(made)
        column.addWidget(title)
        column.addWidget(WrappingLabel(step.text, QUIET_COLOUR))
        column.addWidget(made)
        return frame

    def _watch(self, event: object) -> None:
        self._watch_layer(event.value)  # type: ignore[attr-defined]

    def _watch_layer(self, layer: object) -> None:
        if isinstance(layer, Labels):
            layer.events.paint.connect(self._notice)

    def _notice(self, *_: object) -> None:
        """See what has been done; what was done once stays ticked."""
        for k, step in enumerate(STEPS):
            self.completed[k] = self.completed[k] or step.done(self.session)
        following = self.completed.index(False) if False in self.completed else None
        for k, (step, title) in enumerate(zip(STEPS, self.titles, strict=True)):
            mark = "✓" if self.completed[k] else f"{k + 1}."
            shown = f"{mark} {step.title}"
            title.setText(f"<b>{shown}</b>" if k == following else shown)
            ready = k < 1 or self.model.case is not None
            needs = k < 3 or self.model.segmentation is not None
            self.buttons[k].setEnabled(ready and needs)
        self.end.set_text(_END if following is None else "")

"""The dock widget *Guide*: five steps on the sample case, each with a button."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from napari_ciml.paths import sample_data
from napari_ciml.widgets.controllers.case_loading import LOADING, OPENING
from napari_ciml.widgets.controllers.explanation import EXPLAINING
from napari_ciml.widgets.controllers.segmentation import SEGMENTING
from napari_ciml.widgets.controllers.session import Session
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_START = "New here? Five steps on a synthetic case, a few minutes."
_END = (
    "Done. Now open a case of your own in <b>Case</b>. Key bindings are listed in <b>View</b>; "
    "the model card of a checkpoint is under <b>About ...</b> in <b>Segment</b>."
)


@dataclass(frozen=True)
class Step:
    """One step of the guide.

    Parameters
    ----------
    title, text : str
        Heading and explanation.
    button, tip : str
        Text of the button and its tooltip.
    run : callable
        Called with the session when the button is pressed.
    completed : callable
        Called with the session; returns whether the step is done, by whatever means.
    """

    title: str
    text: str
    button: str
    tip: str
    run: Callable[[Session], None]
    completed: Callable[[Session], bool]


def _paint(session: Session) -> None:
    """Select the brush on the segmentation."""
    session.display.layouts.arrange("single")
    layer = session.layers.segmentation()
    if layer is not None:
        viewer = session.layers.viewer
        viewer.layers.selection.active = layer
        layer.visible, layer.contour = True, 0
        layer.mode, layer.brush_size = "paint", 5


def _has_layout(session: Session) -> bool:
    return session.display.layouts.current != "single"


STEPS = (
    Step(
        "Open a case",
        "A case is a folder with one file per modality. Case lists which file is which modality.",
        "Open the sample case",
        "Open the bundled phantom: FLAIR, T1, T1CE and T2.",
        lambda session: session.cases.open(sample_data() / "glioma"),
        lambda session: session.model.case is not None,
    ),
    Step(
        "Look",
        "All modalities side by side with linked cameras: wheel to zoom, drag to pan, slider below "
        "for slices. R is the patient's right. Key G toggles this layout, K shows three planes.",
        "Show side by side",
        "Show every modality in its own pane; or one pane again.",
        lambda session: session.display.layouts.toggle("panes"),
        _has_layout,
    ),
    Step(
        "Segment",
        "Decomposition defines which modality is primary for which region and which are auxiliary: "
        "WT (whole tumour), TC (tumour core), ET (enhancing tumour). Segment lists the volumes.",
        "Segment",
        "Segment the case with the bundled checkpoint; takes seconds.",
        lambda session: session.segmentation.segment(),
        lambda session: session.model.segmentation is not None,
    ),
    Step(
        "Explain",
        "For every primary modality and region: how much complementary information each auxiliary "
        "contributed, and where. Click a bar in Explain to show its map.",
        "Explain",
        "Compute weights and maps of each auxiliary modality.",
        lambda session: session.explanation.explain(),
        lambda session: session.model.explanation is not None,
    ),
    Step(
        "Correct and fine-tune",
        "Paint with the left button; keys [ and ] change the brush size, Ctrl + Z undoes. "
        "Corrections are never overwritten. Fine-tune then trains the checkpoint on them.",
        "Select the brush",
        "Select napari's brush on the segmentation layer.",
        _paint,
        lambda session: session.autosave.has_edits,
    ),
)


class GuideWidget(Dock):
    """Guide a new user through the first five minutes.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
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
        self.jobs = JobBar(self, OPENING, LOADING, SEGMENTING, EXPLAINING)
        self.column.addWidget(self.jobs)
        self.column.addWidget(self.end)
        self.column.addStretch()
        self.add_footer()
        model = self.model
        for signal in (
            model.case_changed,
            model.segmentation_changed,
            model.explanation_changed,
            self.session.display.changed,
        ):
            signal.connect(self._update)
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        for layer in self.viewer.layers:
            self._connect_layer(layer)
        self._update()

    def _step(self, step: Step) -> QFrame:
        frame = QFrame()
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 4, 0, 4)
        title = QLabel()
        step_button = button(step.button, step.tip)
        step_button.clicked.connect(lambda: self.run_intent(step.run, self.session))
        self.titles.append(title)
        self.buttons.append(step_button)
        column.addWidget(title)
        column.addWidget(WrappingLabel(step.text, QUIET_COLOUR))
        column.addWidget(step_button)
        return frame

    def _on_inserted(self, event: object) -> None:
        self._connect_layer(event.value)  # type: ignore[attr-defined]

    def _connect_layer(self, layer: object) -> None:
        if isinstance(layer, Labels):
            layer.events.paint.connect(self._update)

    def _update(self, *_: object) -> None:
        """Tick the completed steps; a step that was completed once stays ticked."""
        for k, step in enumerate(STEPS):
            self.completed[k] = self.completed[k] or step.completed(self.session)
        current = self.completed.index(False) if False in self.completed else None
        for k, (step, title) in enumerate(zip(STEPS, self.titles, strict=True)):
            mark = "✓" if self.completed[k] else f"{k + 1}."
            text = f"{mark} {step.title}"
            title.setText(f"<b>{text}</b>" if k == current else text)
            ready = k < 1 or self.model.case is not None
            needs = k < 3 or self.model.segmentation is not None
            self.buttons[k].setEnabled(ready and needs)
        self.end.set_text(_END if current is None else "")

"""A viewer with its dock widgets, and waiting for what they do."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import napari
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_ciml.errors import CimlError
from napari_ciml.widgets.case_widget import CaseWidget
from napari_ciml.widgets.decomposition_widget import DecompositionWidget
from napari_ciml.widgets.explain_widget import ExplainWidget
from napari_ciml.widgets.export_widget import ExportWidget
from napari_ciml.widgets.finetune_widget import FineTuneWidget
from napari_ciml.widgets.parts import Dock
from napari_ciml.widgets.segment_widget import SegmentWidget
from napari_ciml.widgets.session import Session, session_of
from napari_ciml.widgets.worklist_widget import WorklistWidget


@dataclass
class Desk:
    """A viewer with its dock widgets."""

    viewer: napari.Viewer
    session: Session
    case: CaseWidget
    decomposition: DecompositionWidget
    segment: SegmentWidget
    explain: ExplainWidget
    finetune: FineTuneWidget
    export: ExportWidget
    worklist: WorklistWidget

    def do(self, intent: Callable[[], None]) -> None:
        """Ask for something and wait for it, with the window alive.

        Raises
        ------
        CimlError
            If it fails.
        """
        failures: list[str] = []
        runner = self.session.runner

        def failed(sentence: str, details: str) -> None:
            failures.append(" ".join(filter(None, (sentence, details))))

        runner.failed.connect(failed)
        intent()
        while runner.busy:
            QApplication.processEvents()
            time.sleep(0.005)
        runner.failed.disconnect(failed)
        settle()
        if failures:
            raise CimlError(failures[0])


def lay_out(viewer: napari.Viewer) -> Desk:
    """Add the dock widgets, tabbed on the right."""
    case, decomposition = CaseWidget(viewer), DecompositionWidget(viewer)
    segment, explain = SegmentWidget(viewer), ExplainWidget(viewer)
    finetune, export = FineTuneWidget(viewer), ExportWidget(viewer)
    worklist = WorklistWidget(viewer)
    named = {
        "Case": case,
        "Decomposition": decomposition,
        "Segment": segment,
        "Explain": explain,
        "Fine-tune": finetune,
        "Export": export,
        "Worklist": worklist,
    }
    for name, widget in named.items():
        viewer.window.add_dock_widget(widget, name=name, area="right", tabify=name != "Case")
    return Desk(
        viewer,
        session_of(viewer),
        case,
        decomposition,
        segment,
        explain,
        finetune,
        export,
        worklist,
    )


def bring_forward(widget: Dock) -> None:
    """Bring a tabbed dock widget to the front."""
    dock = widget.parent()
    if isinstance(dock, QDockWidget):
        dock.raise_()


def settle() -> None:
    """Let the window draw what has changed."""
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)

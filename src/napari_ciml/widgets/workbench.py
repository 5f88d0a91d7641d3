"""A viewer with its dock widgets, and waiting for what they do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import napari
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_ciml.errors import CimlError
from napari_ciml.widgets.controllers.session import Session, get_session
from napari_ciml.widgets.docks.case import CaseWidget
from napari_ciml.widgets.docks.compare import CompareWidget
from napari_ciml.widgets.docks.correct import CorrectWidget
from napari_ciml.widgets.docks.decomposition import DecompositionWidget
from napari_ciml.widgets.docks.explain import ExplainWidget
from napari_ciml.widgets.docks.export import ExportWidget
from napari_ciml.widgets.docks.finetune import FineTuneWidget
from napari_ciml.widgets.docks.guide import GuideWidget
from napari_ciml.widgets.docks.lesions import LesionsWidget
from napari_ciml.widgets.docks.runs import RunsWidget
from napari_ciml.widgets.docks.segment import SegmentWidget
from napari_ciml.widgets.docks.view import ViewWidget
from napari_ciml.widgets.docks.worklist import WorklistWidget
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.dock_tabs import OURS, set_vertical_tabs


@dataclass
class Workbench:
    """A viewer with its dock widgets."""

    viewer: napari.Viewer
    session: Session
    case: CaseWidget
    view: ViewWidget
    decomposition: DecompositionWidget
    segment: SegmentWidget
    explain: ExplainWidget
    runs: RunsWidget
    lesions: LesionsWidget
    correct: CorrectWidget
    compare: CompareWidget
    finetune: FineTuneWidget
    export: ExportWidget
    worklist: WorklistWidget
    guide: GuideWidget

    @property
    def docks(self) -> dict[str, Dock]:
        """The dock widgets by what is written on their tabs, in their order."""
        return {
            "Case": self.case,
            "View": self.view,
            "Decomposition": self.decomposition,
            "Segment": self.segment,
            "Explain": self.explain,
            "Runs": self.runs,
            "Lesions": self.lesions,
            "Correct": self.correct,
            "Compare": self.compare,
            "Fine-tune": self.finetune,
            "Export": self.export,
            "Worklist": self.worklist,
            "Guide": self.guide,
        }

    def run_and_wait(self, intent: Callable[[], None]) -> None:
        """Ask for something and wait for it, with the window alive.

        Raises
        ------
        CimlError
            If it fails.
        """
        failures: list[str] = []
        runners = (self.session.runner, self.session.autosave.runner)

        def failed(sentence: str, details: str) -> None:
            failures.append(" ".join(filter(None, (sentence, details))))

        for runner in runners:
            runner.failed.connect(failed)
        intent()
        while any(runner.busy for runner in runners):
            QApplication.processEvents()
            time.sleep(0.005)
        for runner in runners:
            runner.failed.disconnect(failed)
        process_events()
        if failures:
            raise CimlError(failures[0])


def add_dock_widgets(viewer: napari.Viewer) -> Workbench:
    """Add the dock widgets, tabbed on the right."""
    desk = Workbench(
        viewer,
        get_session(viewer),
        CaseWidget(viewer),
        ViewWidget(viewer),
        DecompositionWidget(viewer),
        SegmentWidget(viewer),
        ExplainWidget(viewer),
        RunsWidget(viewer),
        LesionsWidget(viewer),
        CorrectWidget(viewer),
        CompareWidget(viewer),
        FineTuneWidget(viewer),
        ExportWidget(viewer),
        WorklistWidget(viewer),
        GuideWidget(viewer),
    )
    with defer_settings_save():
        for name, widget in desk.docks.items():
            dock = viewer.window.add_dock_widget(
                widget, name=f"{name}{OURS}", area="right", tabify=name != "Case"
            )
    main = dock.window()
    if isinstance(main, QMainWindow):
        set_vertical_tabs(main)
    return desk


@contextmanager
def defer_settings_save() -> Iterator[None]:
    """Keep napari from writing its settings twice for every dock widget: once is enough for all."""
    settings = get_settings()
    settings._save_on_change = False
    try:
        yield
    finally:
        settings._save_on_change = True
        settings._maybe_save()


def process_events() -> None:
    """Let the window draw what has changed."""
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)

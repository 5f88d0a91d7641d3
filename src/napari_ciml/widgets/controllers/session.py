"""The session of a viewer: creates its model and controllers, and closes them."""

import atexit
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ciml.errors import CimlError
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.controllers.alignment import AlignmentController
from napari_ciml.widgets.controllers.autosave import AutosaveController
from napari_ciml.widgets.controllers.case_loading import CaseController
from napari_ciml.widgets.controllers.comparison import ReferenceComparison, RunComparison
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.explanation import ExplanationController
from napari_ciml.widgets.controllers.finetuning import FineTuneController
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap, LabelMapChecks
from napari_ciml.widgets.controllers.persistence import PersistenceController, SavedControllers
from napari_ciml.widgets.controllers.segmentation import LiveUpdate, SegmentationController
from napari_ciml.widgets.controllers.skull_stripping import SkullStrippingController
from napari_ciml.widgets.controllers.worklist import WorklistController
from napari_ciml.widgets.display.display import DisplayController
from napari_ciml.widgets.display.key_bindings import bind_keys
from napari_ciml.widgets.jobs import Jobs
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.region_painting import RegionPainting
from napari_ciml.widgets.settings import default_checkpoint, default_device, default_engine

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

_sessions: "WeakKeyDictionary[ViewerModel, Session]" = WeakKeyDictionary()


def get_session(viewer: "ViewerModel") -> "Session":
    """Return the session of a viewer; all dock widgets of a viewer share one."""
    wrapped = getattr(viewer, "__wrapped__", viewer)
    if wrapped not in _sessions:
        _sessions[wrapped] = Session(wrapped)
    return _sessions[wrapped]


class Session:
    """Model, layers, jobs and controllers of one viewer; docks call the controllers' methods.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Shows the layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self.model, self.jobs, self.layers = SessionModel(), Jobs(), CaseLayers(viewer)
        self.display = DisplayController(self.layers, self.model)
        bind_keys(self.display, viewer)
        context = Context(self.model, self.layers, self.display, self.jobs)
        self.region_painting = RegionPainting(self.model, self.layers)
        self.autosave = AutosaveController(context)
        self.label_maps = ActiveLabelMap(context, self.autosave)
        self.label_map_checks = LabelMapChecks(context, self.label_maps)
        self.reference_comparison = ReferenceComparison(context, self.label_maps)
        self.cases = CaseController(context)
        self.alignment = AlignmentController(context, self.cases)
        self.skull_stripping = SkullStrippingController(context, self.cases)
        self.explanation = ExplanationController(context)
        self.segmentation = SegmentationController(context)
        self.live = LiveUpdate(context, self.explanation)
        self.run_comparison = RunComparison(context)
        saved = SavedControllers(
            self.cases,
            self.autosave,
            self.live,
            self.explanation,
            self.label_maps,
            self.reference_comparison,
            self.run_comparison,
        )
        self.persistence = PersistenceController(context, saved)
        self.worklist = WorklistController(context, self.cases, self.persistence)
        self.finetuning = FineTuneController(context)
        self._docks, self._closed = 0, False
        # A script may end without closing its viewer; after this, Qt deletes its objects.
        atexit.register(self.close)
        self._apply_preferences()

    def register_dock(self, widget: "QWidget") -> None:
        """Count a dock widget in; when the last one is gone, the session is closed."""
        self._docks += 1
        widget.destroyed.connect(self._on_dock_destroyed)

    def close(self) -> None:
        """Stop all work; the viewer's next dock widget begins a new session."""
        if self._closed:
            return
        self._closed = True
        for part in (
            self.finetuning, self.jobs, self.autosave, self.display, self.live, self.cases
        ):  # fmt: skip
            part.close()
        atexit.unregister(self.close)
        for viewer, session in list(_sessions.items()):
            if session is self:
                del _sessions[viewer]

    def _on_dock_destroyed(self) -> None:
        self._docks -= 1
        if self._docks == 0:
            self.close()

    def _apply_preferences(self) -> None:
        self.model.set_device(default_device())
        self.model.set_engine(default_engine())
        try:
            self.model.set_checkpoint(default_checkpoint())
        except CimlError as error:
            self.model.notified.emit(str(error))

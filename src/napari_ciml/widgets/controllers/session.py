"""The controller: connects a viewer's review, its jobs and its layers."""

import atexit
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ciml.cases.case import load_case
from napari_ciml.cases.discovery import DiscoveredCase, discover_volumes
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.cases.skull_stripping import BrainFinder, skull_strip
from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.controllers.autosave import AutosaveController
from napari_ciml.widgets.controllers.case_loading import LoadedCase
from napari_ciml.widgets.controllers.checkpoint_cache import warm_up
from napari_ciml.widgets.controllers.comparing import RunComparison
from napari_ciml.widgets.controllers.comparison import ReferenceComparison
from napari_ciml.widgets.controllers.explanation import ExplanationController
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap
from napari_ciml.widgets.controllers.live import LiveUpdate
from napari_ciml.widgets.controllers.persistence import PersistenceController
from napari_ciml.widgets.controllers.segmentation import SegmentationController
from napari_ciml.widgets.display.display import DisplayController
from napari_ciml.widgets.display.key_bindings import bind_keys
from napari_ciml.widgets.gc_tuning import GcThrottle
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.region_painting import RegionPainting
from napari_ciml.widgets.settings import default_checkpoint, default_device, default_engine

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

_sessions: "WeakKeyDictionary[ViewerModel, Session]" = WeakKeyDictionary()


def get_session(viewer: "ViewerModel") -> "Session":
    """Return the session of a viewer; all dock widgets of a viewer share one."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _sessions:
        _sessions[real] = Session(real)
    return _sessions[real]


class Session:
    """What the widgets can ask for.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where results are shown.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self.model = SessionModel()
        self.runner = JobRunner()
        self.layers = CaseLayers(viewer)
        self.region_painting = RegionPainting(self.model, self.layers)
        self.autosave = AutosaveController(self.model, self.layers)
        self.label_maps = ActiveLabelMap(self.model, self.layers, self.autosave)
        self.reference_comparison = ReferenceComparison(self.label_maps)
        self.persistence = PersistenceController(self)
        self.segmentation = SegmentationController(self)
        self.loaded_case: LoadedCase | None = None
        self.display = DisplayController(self.layers, self.model)
        bind_keys(self.display, viewer)
        self.live = LiveUpdate(self)
        self.run_comparison = RunComparison(self)
        self.explanation = ExplanationController(self)
        self.gc_throttle = GcThrottle(viewer)
        self._attached, self._closed = 0, False
        # A script may end without closing its viewer; after this, Qt takes its objects away.
        atexit.register(self.close)
        self.model.set_device(default_device())
        self.model.set_engine(default_engine())
        self._use_default_checkpoint()

    def register_dock(self, widget: "QWidget") -> None:
        """Count a dock widget in; when the last one is gone, all work stops."""
        self._attached += 1
        widget.destroyed.connect(self._detach)

    def open(
        self,
        path: Path,
        channels: Sequence[str] | None = None,
        overrides: Mapping[str, Path] | None = None,
        reference: str | None = None,
        align: RegistrationSettings | None = None,
        find_brain: BrainFinder | None = None,
    ) -> None:
        """Look at a folder or a 4-D file; load it at once if nothing is left to decide.

        Parameters are as in `napari_ciml.cases.case.open_case`, and as `load`.
        """

        def done(found: DiscoveredCase) -> None:
            self.model.set_discovered(found)
            if reference is not None:
                self.model.set_reference(reference)
            if not self.model.issues():
                self.load(align, find_brain)

        self.runner.submit(
            "Opening", lambda heard: discover_volumes(path, channels, overrides, heard), done
        )

    def load(
        self, align: RegistrationSettings | None = None, find_brain: BrainFinder | None = None
    ) -> None:
        """Load the sources as the user has named them.

        Parameters
        ----------
        align : RegistrationSettings, optional
            Register them to the reference.
        find_brain : callable, optional
            What finds the brain, so that a network is shown no skull and scalp, if they are there.

        Raises
        ------
        InputError
            If there is something to decide first.
        """
        model = self.model
        sources, reference = model.assigned_sources(), model.chosen_reference()
        name, checkpoint = (model.discovered.name if model.discovered else ""), model.checkpoint

        def work(monitor: ProgressMonitor) -> LoadedCase:
            case = load_case(sources, name=name, reference=reference, align=align, monitor=monitor)
            case = skull_strip(case, monitor, find_brain) if find_brain else case
            monitor.step("Setting the contrast")
            loaded = LoadedCase.of(case)
            warm_up(monitor, checkpoint)
            return loaded

        self.runner.submit("Aligning" if align else "Loading", work, self.show)

    def close(self) -> None:
        """Stop all work; the viewer's next dock widget begins a new session."""
        if self._closed:
            return
        self._closed = True
        runners = (self.runner, self.label_maps.runner)
        for part in (*runners, self.autosave, self.display, self.live):
            part.close()
        self.gc_throttle.stop()
        atexit.unregister(self.close)
        for viewer, session in list(_sessions.items()):
            if session is self:
                del _sessions[viewer]

    def _detach(self) -> None:
        self._attached -= 1
        if self._attached == 0:
            self.close()

    def _use_default_checkpoint(self) -> None:
        try:
            self.model.set_checkpoint(default_checkpoint())
        except CimlError as error:
            self.model.notified.emit(str(error))

    def show(self, loaded: LoadedCase) -> Iterator[None]:
        """Show a case that was read in place of the one before, arranged as that was."""
        arranged = self.display.layouts.current
        yield from self.show_single_plane(loaded)
        self.display.layouts.arrange(arranged)

    def show_single_plane(self, loaded: LoadedCase) -> Iterator[None]:
        """Show a case that was read in place of the one before, in one plane."""
        yield from self.display.layouts.to_single()
        self.loaded_case = loaded
        self.gc_throttle.start(self.layers.viewer)
        yield from self.layers.show_case(loaded.case, loaded.limits)
        self.model.set_case(loaded.case, loaded.ranges)
        yield
        yield from self.display.annotate(loaded.case)

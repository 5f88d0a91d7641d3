"""The controller: connects a viewer's review, its jobs and its layers."""

import atexit
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ciml.cases.brain import BrainFinder, with_brain_found
from napari_ciml.cases.case import load_case
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.cases.scan import Scan, scan
from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.review import Review
from napari_ciml.widgets.control.against import Against
from napari_ciml.widgets.control.checkpoints import warm_up
from napari_ciml.widgets.control.comparing import Comparing
from napari_ciml.widgets.control.keeping import Keeping
from napari_ciml.widgets.control.leaving import Leaving
from napari_ciml.widgets.control.live import Live
from napari_ciml.widgets.control.loaded import Loaded
from napari_ciml.widgets.control.measuring import Measuring
from napari_ciml.widgets.control.questions import Questions
from napari_ciml.widgets.control.running import Running
from napari_ciml.widgets.garbage import Sparing
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.layers.segmented import CaseLayers
from napari_ciml.widgets.layers.strokes import Strokes
from napari_ciml.widgets.looking.keys import bind
from napari_ciml.widgets.looking.looking import Looking
from napari_ciml.widgets.preferences import default_checkpoint, default_device, default_engine

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

_sessions: "WeakKeyDictionary[ViewerModel, Session]" = WeakKeyDictionary()


def session_of(viewer: "ViewerModel") -> "Session":
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
        self.review = Review()
        self.runner = JobRunner()
        self.layers = CaseLayers(viewer)
        self.strokes = Strokes(self.review, self.layers)
        self.keeping = Keeping(self.review, self.layers)
        self.measuring = Measuring(self.review, self.layers, self.keeping)
        self.against = Against(self.measuring)
        self.leaving = Leaving(self)
        self.running = Running(self)
        self.loaded: Loaded | None = None
        self.looking = Looking(self.layers, self.review)
        bind(self.looking, viewer)
        self.live = Live(self)
        self.comparing = Comparing(self)
        self.questions = Questions(self)
        self.sparing = Sparing(viewer)
        self._attached, self._closed = 0, False
        # A script may end without closing its viewer; after this, Qt takes its objects away.
        atexit.register(self.close)
        self.review.set_device(default_device())
        self.review.set_engine(default_engine())
        self._use_default_checkpoint()

    def attach(self, widget: "QWidget") -> None:
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

        def done(found: Scan) -> None:
            self.review.set_scan(found)
            if reference is not None:
                self.review.set_reference(reference)
            if not self.review.scan_problems():
                self.load(align, find_brain)

        self.runner.submit("Opening", lambda heard: scan(path, channels, overrides, heard), done)

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
        review = self.review
        sources, reference = review.chosen_sources(), review.chosen_reference()
        name, checkpoint = (review.scan.name if review.scan else ""), review.checkpoint

        def work(monitor: Monitor) -> Loaded:
            case = load_case(sources, name=name, reference=reference, align=align, monitor=monitor)
            case = with_brain_found(case, monitor, find_brain) if find_brain else case
            monitor.step("Setting the contrast")
            loaded = Loaded.of(case)
            warm_up(monitor, checkpoint)
            return loaded

        self.runner.submit("Aligning" if align else "Loading", work, self.show)

    def close(self) -> None:
        """Stop all work; the viewer's next dock widget begins a new session."""
        if self._closed:
            return
        self._closed = True
        runners = (self.runner, self.measuring.runner)
        for part in (*runners, self.keeping, self.looking, self.live):
            part.close()
        self.sparing.end()
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
            self.review.set_checkpoint(default_checkpoint())
        except CimlError as error:
            self.review.told.emit(str(error))

    def show(self, loaded: Loaded) -> Iterator[None]:
        """Show a case that was read in place of the one before, arranged as that was."""
        arranged = self.looking.arranging.now
        yield from self.put(loaded)
        self.looking.arranging.arrange(arranged)

    def put(self, loaded: Loaded) -> Iterator[None]:
        """Show a case that was read in place of the one before, in one plane."""
        yield from self.looking.arranging.alone()
        self.loaded = loaded
        self.sparing.begin(self.layers.viewer)
        yield from self.layers.show_case(loaded.case, loaded.limits)
        self.review.set_case(loaded.case, loaded.ranges)
        yield
        yield from self.looking.annotate(loaded.case)

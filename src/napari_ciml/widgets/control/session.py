"""The controller: connects a viewer's review, its jobs and its layers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ciml.cases.brain import BrainFinder, with_brain_found
from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.cases.scan import Scan, scan
from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.review import Review
from napari_ciml.whatif.change import Change, since
from napari_ciml.widgets.control.against import Against
from napari_ciml.widgets.control.checkpoints import load_checkpoint, warm_up
from napari_ciml.widgets.control.keeping import Keeping
from napari_ciml.widgets.control.leaving import Leaving
from napari_ciml.widgets.control.live import Live
from napari_ciml.widgets.control.loaded import Loaded
from napari_ciml.widgets.control.measuring import Measuring
from napari_ciml.widgets.control.questions import Questions
from napari_ciml.widgets.garbage import Sparing
from napari_ciml.widgets.jobs import JobRunner, Steps
from napari_ciml.widgets.layers.segmented import CaseLayers
from napari_ciml.widgets.layers.strokes import Strokes
from napari_ciml.widgets.looking.keys import bind
from napari_ciml.widgets.looking.looking import Looking
from napari_ciml.widgets.preferences import default_checkpoint, default_device, default_engine

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

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
        self.loaded: Loaded | None = None
        self.looking = Looking(self.layers, self.review)
        bind(self.looking, viewer)
        self.live = Live(self)
        self.questions = Questions(self)
        self.sparing = Sparing(viewer)
        self._attached = 0
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

    def segment(self) -> None:
        """Segment the case.

        Raises
        ------
        CimlError
            If no case or no checkpoint is there, or the decomposition cannot be run.
        """
        case, path = self.ready()
        review, previous = self.review, self.review.segmentation
        asked, before, settings = review.asked, review.runs.current, review.settings()
        reference = review.findings.reference

        def work(monitor: Monitor) -> "tuple[Segmentation, Change | None]":
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.inference.segment import segment

            made = segment(case, checkpoint, asked.decomposition, settings, monitor, previous)
            return made, since(before, made, case, reference)

        self.runner.submit("Segmenting", work, self._for_case(case, self._segmented))

    def explain(self) -> None:
        """Explain the segmentation.

        Raises
        ------
        CimlError
            If there is none.
        """
        case, path, segmentation = self.explainable()
        device = self.review.device

        def work(monitor: Monitor) -> "Explanation":
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.explanation.explain import explain

            return explain(case, checkpoint, segmentation, monitor, device)

        def done(_: Case, result: "Explanation") -> None:
            if self.review.segmentation is segmentation:
                self.review.set_explanation(result)

        self.runner.submit("Explaining", work, self._for_case(case, done))

    def close(self) -> None:
        """Stop all work; the viewer's next dock widget begins a new session."""
        runners = (self.runner, self.measuring.runner)
        for part in (*runners, self.keeping, self.looking, self.live):
            part.close()
        self.sparing.end()
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

    def ready(self) -> tuple[Case, Path]:
        """Return the case and the checkpoint to segment it with.

        Raises
        ------
        CimlError
            If something is missing, or what is asked for cannot be run.
        """
        review = self.review
        if review.case is None:
            raise CimlError("Open a case first.")
        if review.checkpoint is None:
            raise CimlError("Choose a checkpoint first.")
        problems = review.problems()
        if problems:
            raise CimlError(f"The decomposition cannot be run: {problems[0].message}")
        return review.case, review.checkpoint

    def explainable(self) -> tuple[Case, Path, "Segmentation"]:
        """Return the segmentation that maps explain, with its case and the checkpoint.

        What is asked for next may be edited meanwhile, right or wrong.

        Raises
        ------
        CimlError
            If there is none.
        """
        review = self.review
        if review.case is None or review.checkpoint is None or review.segmentation is None:
            raise CimlError("Segment the case first; then ask why.")
        return review.case, review.checkpoint, review.segmentation

    def _for_case(self, case: Case, done: Callable[..., Steps]) -> Callable[[object], Steps]:
        """Drop a result whose case is no longer open."""
        return lambda result: done(case, result) if self.review.case is case else None

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

    def _segmented(self, case: Case, found: "tuple[Segmentation, Change | None]") -> Iterator[None]:
        made, change = found
        yield from self.layers.show_segmentation(case, made)
        self.review.set_segmentation(made)
        self.live.tell(change)
        self.live.catch_up()

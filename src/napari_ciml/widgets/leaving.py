"""The controller of what leaves the window and comes back: exports, saved sessions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.decomposition import Pair
from napari_ciml.errors import CimlError
from napari_ciml.files import prepare_folder
from napari_ciml.monitor import Monitor
from napari_ciml.widgets import standing
from napari_ciml.widgets.origin import known_origin

if TYPE_CHECKING:
    from napari_ciml.export.bundle import Results, Wish
    from napari_ciml.saved.state import State
    from napari_ciml.widgets.session import Loaded, Session

SAVING, OPENING, EXPORTING = "Saving the session", "Opening the session", "Exporting"


@dataclass(frozen=True)
class Reopened:
    """A saved session that was read, and its case with what showing it needs."""

    state: "State"
    loaded: "Loaded"


class Leaving:
    """What can be saved, opened again, and exported.

    Parameters
    ----------
    session : Session
        Whose review it is.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session

    def state(self) -> "State":
        """Return the session as it is now.

        Raises
        ------
        CimlError
            If no case is open.
        """
        from napari_ciml.saved.state import State

        session, review = self.session, self.session.review
        case, scan = review.case, review.scan
        if case is None or scan is None:
            raise CimlError("Open a case first.")
        runs = tuple(review.runs)
        return State(
            scan=scan,
            modalities=tuple(review.modalities),
            case=case,
            asked=review.asked,
            checkpoint=review.checkpoint,
            device=review.device,
            engine=review.engine,
            clean=review.clean,
            mirror=review.mirror,
            runs=runs,
            current=runs.index(review.runs.current) if review.runs.current else None,
            corrections=standing.painted(session.layers, case),
            looks=standing.looks(session.layers, case),
            view=standing.view(session.layers.viewer),
            samples=review.samples,
            live=session.live.on,
            questions=session.questions.asked,
            shown=session.questions.seen(),
            grid=review.grid,
            marks=review.findings.marks,
        )

    def save(self, folder: Path, done: Callable[["State"], None] | None = None) -> None:
        """Save the session to a folder.

        Parameters
        ----------
        folder : pathlib.Path
            Made if it is not there.
        done : callable, optional
            Called with what was saved.

        Raises
        ------
        CimlError
            If no case is open.
        """
        state = self.state()

        def work(monitor: Monitor) -> None:
            from napari_ciml.saved.save import save_session

            save_session(folder, state, monitor)

        def saved(_: None) -> None:
            if done is not None:
                done(state)
            else:
                self.session.review.told.emit(f"The session is saved in {folder}.")

        self.session.runner.submit(SAVING, work, saved)

    def open(self, folder: Path) -> None:
        """Open a saved session in place of what is open."""

        def work(monitor: Monitor) -> Reopened:
            from napari_ciml.saved.reopen import open_session
            from napari_ciml.widgets.session import Loaded

            state = open_session(folder, monitor)
            _place(state)
            return Reopened(state, Loaded.of(state.case))

        self.session.runner.submit(OPENING, work, self._opened)

    def results(self, subject: str = "") -> "Results":
        """Return what can be exported.

        Parameters
        ----------
        subject : str
            A name for the report, if the user asks for one.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        from napari_ciml.export.bundle import Results
        from napari_ciml.export.report import Context

        session, review, layers = self.session, self.session.review, self.session.layers
        case, segmentation = review.case, review.segmentation
        if case is None or segmentation is None:
            raise CimlError("Segment a case first.")
        regions = segmentation.plan.decomposition.regions
        layer = session.measuring.current()
        if layer is None:
            raise CimlError("Segment a case first.")
        if known_origin(layer).regions not in ((), regions):
            raise CimlError(
                f"'{layer.name}' has other regions than the segmentation; choose another label "
                "map in Correct."
            )
        shown = {
            one.shows: one.limits for one in standing.looks(layers, case) if one.limits is not None
        }
        context = Context(
            checkpoint=review.runs.current.info.name if review.runs.current else "",
            subject=subject,
            corrected=standing.is_painted(layer),
            limits=shown,
        )
        labels = standing.as_labels(layer.data)
        return Results(case, segmentation, labels, review.explanation, context)

    def export(
        self,
        folder: Path,
        wish: "Wish",
        subject: str = "",
        done: Callable[[list[Path]], None] | None = None,
    ) -> None:
        """Write files to a folder.

        Parameters
        ----------
        folder : pathlib.Path
            Made if it is not there.
        wish : Wish
            Which files.
        subject : str
            As `results`.
        done : callable, optional
            Called with the files.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        results = self.results(subject)

        def work(monitor: Monitor) -> list[Path]:
            from napari_ciml.export.bundle import write_bundle

            return write_bundle(prepare_folder(folder), results, wish, monitor)

        def exported(paths: list[Path]) -> None:
            if done is not None:
                done(paths)
            self.session.review.exported.emit(results.labels)

        self.session.runner.submit(EXPORTING, work, exported)

    def _opened(self, found: Reopened) -> Iterator[None]:
        live, wanted = self.session.live, found.state.live
        on = live.on if wanted is None else wanted
        live.set_on(False)  # until all is there as it was
        try:
            yield from self._show(found)
        finally:
            live.set_on(on)

    def _show(self, found: Reopened) -> Iterator[None]:
        state, session = found.state, self.session
        review, layers = session.review, session.layers
        review.set_scan(state.scan)
        for row, modality in enumerate(state.modalities):
            review.set_modality(row, modality)
        review.set_reference(state.case.reference)
        yield from session.show(found.loaded)
        yield
        if state.checkpoint is not None:
            review.set_checkpoint(state.checkpoint)
        review.start_from(state.asked)
        review.set_device(state.device)
        review.set_engine(state.engine)
        review.set_mirror(state.mirror)
        review.set_clean(state.clean)
        review.set_samples(state.samples)
        if state.current is not None:
            run = state.runs[state.current]
            review.runs.put(state.runs, state.current)
            yield from layers.show_segmentation(state.case, run.segmentation)
            review.set_segmentation(run.segmentation, run.info)
            yield
            session.questions.put(state.questions, state.shown)
            yield
        review.set_grid(state.grid)
        regions = state.asked.decomposition.regions
        yield from standing.repaint(layers, state.case, state.corrections, regions)
        review.findings.set_marks(state.marks)
        session.measuring.measure()
        standing.set_looks(layers, state.case, state.looks)
        yield
        if state.view is not None:
            yield from standing.set_view(layers.viewer, state.view)


def _place(state: "State") -> None:
    """Bring the map that is shown onto the case grid, in the thread that opens the session."""
    shown = state.shown
    if shown is None or state.current is None:
        return
    whole = state.runs[state.current].explanation
    answers = [one.explanation for one in state.questions]
    found = whole if shown.question is None else answers[shown.question]
    if found is not None:
        found.maps[Pair(shown.primary, shown.region), shown.auxiliary]

"""The controller of what leaves the window and comes back: exports, saved sessions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cases.window import display_range, value_range
from napari_ciml.errors import CimlError
from napari_ciml.files import prepare_folder
from napari_ciml.monitor import Monitor
from napari_ciml.widgets import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ciml.export.bundle import Results, Wish
    from napari_ciml.saved.state import State
    from napari_ciml.widgets.session import Session

SAVING, OPENING, EXPORTING = "Saving the session", "Opening the session", "Exporting"


@dataclass(frozen=True)
class Reopened:
    """A saved session that was read, with what showing it needs."""

    state: "State"
    limits: "Mapping[str, tuple[float, float]]"
    ranges: "Mapping[str, tuple[float, float]]"


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
        from napari_ciml.saved.state import Run, State

        session, review = self.session, self.session.review
        case, scan = review.case, review.scan
        if case is None or scan is None:
            raise CimlError("Open a case first.")
        runs = []
        if review.segmentation is not None and review.made_with is not None:
            info = review.made_with
            name = review.segmentation.plan.decomposition.name
            runs.append(Run(name, review.segmentation, review.explanation, info))
        return State(
            scan=scan,
            modalities=tuple(review.modalities),
            case=case,
            decomposition=review.decomposition,
            checkpoint=review.checkpoint,
            device=review.device,
            clean=review.clean,
            runs=runs,
            current=len(runs) - 1 if runs else None,
            corrections=standing.painted(session.layers, case),
            looks=standing.looks(session.layers, case),
            view=standing.view(session.layers.viewer),
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

            state = open_session(folder, monitor)
            images = state.case.images
            units = state.case.units
            limits = {n: display_range(i, n, units.get(n, "")) for n, i in images.items()}
            return Reopened(state, limits, {n: value_range(i) for n, i in images.items()})

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

        review, layers = self.session.review, self.session.layers
        case, segmentation = review.case, review.segmentation
        if case is None or segmentation is None:
            raise CimlError("Segment a case first.")
        labels = standing.present_labels(layers, case)
        shown = {
            one.shows: one.limits for one in standing.looks(layers, case) if one.limits is not None
        }
        context = Context(
            checkpoint=review.made_with.name if review.made_with else "",
            subject=subject,
            corrected=any(one.current for one in standing.painted(layers, case)),
            limits=shown,
        )
        now = segmentation.label_map if labels is None else labels
        return Results(case, segmentation, now, review.explanation, context)

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
        state, session = found.state, self.session
        review, layers = session.review, session.layers
        yield from layers.show_case(state.case, found.limits)
        review.set_scan(state.scan)
        for row, modality in enumerate(state.modalities):
            review.set_modality(row, modality)
        review.set_reference(state.case.reference)
        review.set_case(state.case, found.ranges)
        yield
        if state.checkpoint is not None:
            review.set_checkpoint(state.checkpoint)
        review.set_decomposition(state.decomposition)
        review.set_device(state.device)
        review.set_clean(state.clean)
        if state.current is not None:
            run = state.runs[state.current]
            yield from layers.show_segmentation(state.case, run.segmentation)
            review.set_segmentation(run.segmentation, run.info)
            if run.explanation is not None:
                review.set_explanation(run.explanation)
            yield
        yield from standing.repaint(layers, state.case, state.corrections)
        standing.set_looks(layers, state.case, state.looks)
        yield
        if state.view is not None:
            yield from standing.set_view(layers.viewer, state.view)

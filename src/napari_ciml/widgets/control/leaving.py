"""The controller of what leaves the window and comes back: exports, saved sessions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.errors import CimlError
from napari_ciml.files import prepare_folder
from napari_ciml.measures.faults import SPECK_ML, Fault, find_faults
from napari_ciml.monitor import Monitor
from napari_ciml.widgets.control import standing
from napari_ciml.widgets.control.reopening import put_back, read
from napari_ciml.widgets.layers.origin import known_origin

if TYPE_CHECKING:
    from napari_ciml.export.bundle import Results, Wish
    from napari_ciml.saved.state import State
    from napari_ciml.widgets.control.session import Session

SAVING, OPENING, EXPORTING = "Saving the session", "Opening the session", "Exporting"


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
            past=review.edits.past,
            future=review.edits.future,
            checkpoint=review.checkpoint,
            device=review.device,
            engine=review.engine,
            runs=runs,
            current=runs.index(review.runs.current) if review.runs.current else None,
            corrections=standing.painted(session.layers, case),
            looks=standing.looks(session.layers, case, session.looking.arranging),
            view=standing.view(session.layers.viewer, session.looking.arranging),
            live=session.live.on,
            questions=session.questions.asked,
            shown=session.questions.seen(),
            grid=review.grid,
            marks=review.findings.marks,
            reference=review.findings.reference,
            looked_at=session.measuring.looked_at,
            laid_over=standing.laid_over(session.layers),
            two_runs=session.comparing.seen(),
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
        self.session.runner.submit(
            OPENING,
            lambda monitor: read(folder, monitor),
            lambda found: put_back(self.session, found),
        )

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
                "map in Lesions."
            )
        looks = standing.looks(layers, case, session.looking.arranging)
        shown = {one.shows: one.limits for one in looks if one.limits is not None}
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
        done: Callable[[list[Path], tuple[Fault, ...]], None] | None = None,
    ) -> None:
        """Write files to a folder; a label map that was corrected by hand is checked.

        Parameters
        ----------
        folder : pathlib.Path
            Made if it is not there.
        wish : Wish
            Which files.
        subject : str
            As `results`.
        done : callable, optional
            Called with the files, and with what may be wrong with the correction.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        results = self.results(subject)

        def work(monitor: Monitor) -> tuple[list[Path], tuple[Fault, ...]]:
            from napari_ciml.export.bundle import write_bundle

            faults: tuple[Fault, ...] = ()
            if results.context.corrected:
                regions = results.segmentation.plan.decomposition.regions
                faults = find_faults(results.labels, regions, results.case.grid, SPECK_ML, monitor)
            return write_bundle(prepare_folder(folder), results, wish, monitor), faults

        def exported(made: tuple[list[Path], tuple[Fault, ...]]) -> None:
            if done is not None:
                done(*made)
            self.session.review.exported.emit(results.labels)

        self.session.runner.submit(EXPORTING, work, exported)

"""The controller of what leaves the window and comes back: exports, saved sessions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.errors import CimlError
from napari_ciml.files import ensure_writable_folder
from napari_ciml.metrics.label_checks import SPECK_ML, LabelIssue, check_labels
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.reopening import read, restore_session
from napari_ciml.widgets.layers.metadata import require_metadata

if TYPE_CHECKING:
    from napari_ciml.export.bundle import ExportInput, ExportOptions
    from napari_ciml.session.storage.snapshot import SessionSnapshot
    from napari_ciml.widgets.controllers.session import Session

SAVING, OPENING, EXPORTING = "Saving the session", "Opening the session", "Exporting"


class PersistenceController:
    """What can be saved, opened again, and exported.

    Parameters
    ----------
    session : Session
        Whose review it is.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session

    def snapshot(self) -> "SessionSnapshot":
        """Return the session as it is now.

        Raises
        ------
        CimlError
            If no case is open.
        """
        from napari_ciml.session.storage.snapshot import SessionSnapshot

        session, model = self.session, self.session.model
        case, scan = model.case, model.discovered
        if case is None or scan is None:
            raise CimlError("Open a case first.")
        runs = tuple(model.runs)
        return SessionSnapshot(
            scan=scan,
            modalities=tuple(model.modalities),
            case=case,
            asked=model.request,
            past=model.undo_stack.past,
            future=model.undo_stack.future,
            checkpoint=model.checkpoint,
            device=model.device,
            engine=model.engine,
            runs=runs,
            current=runs.index(model.runs.current) if model.runs.current else None,
            corrections=view_state.edited_label_maps(session.layers, case),
            looks=view_state.layer_appearances(session.layers, case, session.display.layouts),
            view=view_state.camera_state(session.layers.viewer, session.display.layouts),
            live=session.live.on,
            questions=session.explanation.answered,
            shown=session.explanation.to_state(),
            grid=model.grid,
            marks=model.findings.marks,
            reference=model.findings.reference,
            looked_at=session.label_maps.name,
            laid_over=view_state.visible_overlay(session.layers),
            two_runs=session.run_comparison.seen(),
        )

    def save(self, folder: Path, done: Callable[["SessionSnapshot"], None] | None = None) -> None:
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
        state = self.snapshot()

        def work(monitor: ProgressMonitor) -> None:
            from napari_ciml.session.storage.write import save_session

            save_session(folder, state, monitor)

        def saved(_: None) -> None:
            if done is not None:
                done(state)
            else:
                self.session.model.notified.emit(f"The session is saved in {folder}.")

        self.session.runner.submit(SAVING, work, saved)

    def open(self, folder: Path) -> None:
        """Open a saved session in place of what is open."""
        self.session.runner.submit(
            OPENING,
            lambda monitor: read(folder, monitor),
            lambda found: restore_session(self.session, found),
        )

    def results(self, subject: str = "") -> "ExportInput":
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
        from napari_ciml.export.bundle import ExportInput
        from napari_ciml.export.report import ReportContext

        session, model, layers = self.session, self.session.model, self.session.layers
        case, segmentation = model.case, model.segmentation
        if case is None or segmentation is None:
            raise CimlError("Segment a case first.")
        regions = segmentation.plan.decomposition.regions
        layer = session.label_maps.current()
        if layer is None:
            raise CimlError("Segment a case first.")
        if require_metadata(layer).regions not in ((), regions):
            raise CimlError(
                f"'{layer.name}' has other regions than the segmentation; choose another label "
                "map in Lesions."
            )
        looks = view_state.layer_appearances(layers, case, session.display.layouts)
        shown = {one.shows: one.limits for one in looks if one.limits is not None}
        context = ReportContext(
            checkpoint=model.runs.current.info.name if model.runs.current else "",
            subject=subject,
            corrected=view_state.has_user_edits(layer),
            limits=shown,
        )
        labels = view_state.as_labels(layer.data)
        return ExportInput(case, segmentation, labels, model.explanation, context)

    def export(
        self,
        folder: Path,
        wish: "ExportOptions",
        subject: str = "",
        done: Callable[[list[Path], tuple[LabelIssue, ...]], None] | None = None,
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

        def work(monitor: ProgressMonitor) -> tuple[list[Path], tuple[LabelIssue, ...]]:
            from napari_ciml.export.bundle import export_results

            faults: tuple[LabelIssue, ...] = ()
            if results.context.corrected:
                regions = results.segmentation.plan.decomposition.regions
                faults = check_labels(results.labels, regions, results.case.grid, SPECK_ML, monitor)
            return export_results(ensure_writable_folder(folder), results, wish, monitor), faults

        def exported(made: tuple[list[Path], tuple[LabelIssue, ...]]) -> None:
            if done is not None:
                done(*made)
            self.session.model.exported.emit(results.labels)

        self.session.runner.submit(EXPORTING, work, exported)

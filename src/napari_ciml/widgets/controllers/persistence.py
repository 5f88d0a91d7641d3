"""Save a session, open it again, export results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.decomposition.model import Pair
from napari_ciml.errors import CimlError
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.uncertainty_maps import LARGEST, uncertainty_map
from napari_ciml.metrics.label_checks import SPECK_ML, LabelIssue, check_labels
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.session.storage.snapshot import SessionSnapshot
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.autosave import AutosaveController
from napari_ciml.widgets.controllers.case_loading import CaseController
from napari_ciml.widgets.controllers.comparison import ReferenceComparison, RunComparison
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.explanation import ExplanationController
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap
from napari_ciml.widgets.controllers.segmentation import LiveUpdate
from napari_ciml.widgets.layers.metadata import require_metadata

if TYPE_CHECKING:
    from napari_ciml.export.bundle import ExportInput, ExportOptions

SAVING, OPENING, EXPORTING = "Saving the session", "Opening the session", "Exporting"


@dataclass(frozen=True, eq=False)
class LoadedSession:
    """A saved session that was read, with what showing it needs.

    Parameters
    ----------
    snapshot : SessionSnapshot
        The session.
    case : LoadedCase
        Its case.
    uncertainty : numpy.ndarray or None
        The uncertainty map that is to be shown, if one is, (Z, Y, X).
    """

    snapshot: SessionSnapshot
    case: LoadedCase
    uncertainty: np.ndarray | None = None


@dataclass(frozen=True)
class SavedControllers:
    """The controllers whose state a session holds."""

    cases: CaseController
    autosave: AutosaveController
    live: LiveUpdate
    explanation: ExplanationController
    label_maps: ActiveLabelMap
    reference_comparison: ReferenceComparison
    run_comparison: RunComparison


class PersistenceController:
    """Saves, opens and exports.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    controllers : SavedControllers
        The controllers whose state is saved and restored.
    """

    def __init__(self, context: Context, controllers: SavedControllers) -> None:
        self.model, self.layers = context.model, context.layers
        self.display, self.jobs = context.display, context.jobs
        self.controllers = controllers

    def snapshot(self) -> SessionSnapshot:
        """Return the present state of the session.

        Raises
        ------
        CimlError
            If no case is open.
        """
        model, layers, controllers = self.model, self.layers, self.controllers
        case, discovered = model.case, model.sources.discovered
        if case is None or discovered is None:
            raise CimlError("Open a case first.")
        runs, layouts = tuple(model.runs), self.display.layouts
        return SessionSnapshot(
            discovered=discovered,
            modalities=tuple(model.sources.modalities),
            case=case,
            request=model.request,
            past=model.undo_stack.past,
            future=model.undo_stack.future,
            checkpoint=model.checkpoint,
            device=model.device,
            engine=model.engine,
            runs=runs,
            current=runs.index(model.runs.current) if model.runs.current else None,
            corrections=view_state.edited_label_maps(layers, case),
            appearances=view_state.layer_appearances(layers, case, layouts),
            camera=view_state.camera_state(layers.viewer, layouts),
            live=controllers.live.on,
            answered=controllers.explanation.answered,
            map_view=controllers.explanation.to_state(),
            grid=model.grid,
            reviewed=model.findings.marks,
            reference=model.findings.reference,
            active_label_map=controllers.label_maps.name,
            overlay=view_state.visible_overlay(layers),
            run_comparison=controllers.run_comparison.to_state(),
        )

    def save(self, folder: Path, done: Callable[[SessionSnapshot], None] | None = None) -> None:
        """Save the session to a folder.

        Parameters
        ----------
        folder : pathlib.Path
            Created if it does not exist.
        done : callable, optional
            Called with what was saved; by default the user is told.

        Raises
        ------
        CimlError
            If no case is open.
        """
        snapshot = self.snapshot()

        def work(monitor: ProgressMonitor) -> None:
            from napari_ciml.session.storage.write import save_session

            save_session(folder, snapshot, monitor)

        def saved(_: None) -> None:
            if done is not None:
                done(snapshot)
            else:
                self.model.notified.emit(f"The session is saved in {folder}.")

        self.jobs.main.submit(SAVING, work, saved)

    def open(self, folder: Path) -> None:
        """Open a saved session in place of what is open."""
        self.jobs.main.submit(OPENING, lambda monitor: read_session(folder, monitor), self.restore)

    def restore(self, loaded: LoadedSession) -> Iterator[None]:
        """Show a saved session in place of what is open; a generator.

        Edits are followed again once everything is restored.
        """
        live, saved = self.controllers.live, loaded.snapshot.live
        on = live.on if saved is None else saved
        live.set_on(False)
        try:
            yield from self._restore(loaded)
        finally:
            live.set_on(on)

    def release_saved(self, snapshot: SessionSnapshot) -> None:
        """Let painted layers go whose strokes a saved session has."""
        for layer in view_state.saved_layers(self.layers, snapshot.corrections):
            self.controllers.autosave.discard(layer)
            view_state.release_saved_layer(self.layers, layer)

    def _restore(self, loaded: LoadedSession) -> Iterator[None]:
        model, controllers, snapshot = self.model, self.controllers, loaded.snapshot
        layout = self.display.layouts.current
        model.sources.set_discovered(snapshot.discovered)
        for index, modality in enumerate(snapshot.modalities):
            model.sources.set_modality(index, modality)
        model.sources.set_reference(snapshot.case.reference)
        self.release_saved(snapshot)
        yield from controllers.cases.show_single_plane(loaded.case)
        yield
        yield from self._restore_runs(snapshot)
        model.set_grid(snapshot.grid)
        yield from self._restore_label_maps(loaded)
        view_state.apply_layer_appearances(self.layers, snapshot.case, snapshot.appearances)
        yield
        if snapshot.camera is not None:
            yield from view_state.apply_camera_state(self.layers.viewer, snapshot.camera)
            layout = snapshot.camera.layout
        self.display.layouts.arrange(layout)
        if snapshot.run_comparison is not None:
            controllers.run_comparison.from_state(snapshot.run_comparison)

    def _restore_runs(self, snapshot: SessionSnapshot) -> Iterator[None]:
        """Restore checkpoint, request, runs and answers."""
        model = self.model
        if snapshot.checkpoint is not None:
            model.set_checkpoint(snapshot.checkpoint)
        model.reset_request(snapshot.request, snapshot.past, snapshot.future)
        model.set_device(snapshot.device)
        model.set_engine(snapshot.engine)
        if snapshot.current is not None:
            run = snapshot.runs[snapshot.current]
            model.runs.restore(snapshot.runs, snapshot.current)
            yield from model.commit_segmentation(run.segmentation, info=run.info)
            yield
            self.controllers.explanation.from_state(snapshot.answered, snapshot.map_view)
            yield

    def _restore_label_maps(self, loaded: LoadedSession) -> Iterator[None]:
        """Restore painted label maps, reviewed marks, the overlay and the reference."""
        snapshot, controllers = loaded.snapshot, self.controllers
        yield from view_state.restore_edited_label_maps(
            self.layers,
            snapshot.case,
            snapshot.corrections,
            snapshot.request.decomposition.regions,
        )
        self.model.findings.set_marks(snapshot.reviewed)
        self._restore_overlay(loaded)
        controllers.label_maps.choose_named(snapshot.active_label_map)
        overlay = snapshot.overlay
        shows_difference = overlay is not None and overlay.kind == "difference"
        controllers.reference_comparison.compare_with(
            snapshot.reference, overlay.region if overlay and shows_difference else None
        )
        yield

    def _restore_overlay(self, loaded: LoadedSession) -> None:
        snapshot, overlay = loaded.snapshot, loaded.snapshot.overlay
        if overlay is None or snapshot.current is None:
            return
        if overlay.kind == "probability":
            segmentation = snapshot.runs[snapshot.current].segmentation
            self.layers.show_probability(snapshot.case, segmentation, overlay.region)
        elif overlay.uncertainty is not None and loaded.uncertainty is not None:
            kind = overlay.uncertainty
            self.layers.show_uncertainty(
                snapshot.case, loaded.uncertainty, (kind, overlay.region), LARGEST[kind]
            )

    def results(self, subject: str = "") -> "ExportInput":
        """Return the results that can be exported.

        Parameters
        ----------
        subject : str
            Name of the case in the report; by default none.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        from napari_ciml.export.bundle import ExportInput
        from napari_ciml.export.report import ReportContext

        model, layers = self.model, self.layers
        case, segmentation = model.case, model.segmentation
        if case is None or segmentation is None:
            raise CimlError("Segment a case first.")
        regions = segmentation.plan.decomposition.regions
        layer = self.controllers.label_maps.current()
        if layer is None:
            raise CimlError("Segment a case first.")
        if require_metadata(layer).regions not in ((), regions):
            raise CimlError(
                f"'{layer.name}' has other regions than the segmentation; choose another label "
                "map in Lesions."
            )
        appearances = view_state.layer_appearances(layers, case, self.display.layouts)
        limits = {one.shows: one.limits for one in appearances if one.limits is not None}
        context = ReportContext(
            checkpoint=model.runs.current.info.name if model.runs.current else "",
            subject=subject,
            corrected=view_state.has_user_edits(layer),
            limits=limits,
        )
        labels = view_state.as_labels(layer.data)
        return ExportInput(case, segmentation, labels, model.explanation, context)

    def export(
        self,
        folder: Path,
        options: "ExportOptions",
        subject: str = "",
        done: Callable[[list[Path], tuple[LabelIssue, ...]], None] | None = None,
    ) -> None:
        """Write files to a folder; a label map that was corrected by hand is checked.

        Parameters
        ----------
        folder : pathlib.Path
            Created if it does not exist.
        options : ExportOptions
            Which files, and how.
        subject : str
            As of `results`.
        done : callable, optional
            Called with the files and the issues of a corrected label map.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        results = self.results(subject)

        def work(monitor: ProgressMonitor) -> tuple[list[Path], tuple[LabelIssue, ...]]:
            from napari_ciml.export.bundle import export_results

            issues: tuple[LabelIssue, ...] = ()
            if results.context.corrected:
                regions = results.segmentation.plan.decomposition.regions
                issues = check_labels(results.labels, regions, results.case.grid, SPECK_ML, monitor)
            return export_results(ensure_writable_folder(folder), results, options, monitor), issues

        def exported(output: tuple[list[Path], tuple[LabelIssue, ...]]) -> None:
            if done is not None:
                done(*output)
            self.model.exported.emit(results.labels)

        self.jobs.main.submit(EXPORTING, work, exported)


def read_session(folder: Path, monitor: ProgressMonitor) -> LoadedSession:
    """Read a saved session, with what showing it needs; for a thread.

    Errors as of `napari_ciml.session.storage.read.open_session`.
    """
    from napari_ciml.session.storage.read import open_session

    snapshot = open_session(folder, monitor)
    _resample_shown_map(snapshot)
    return LoadedSession(snapshot, LoadedCase.of(snapshot.case), _uncertainty(snapshot))


def _uncertainty(snapshot: SessionSnapshot) -> np.ndarray | None:
    """Compute the uncertainty map that is to be shown, if one is."""
    overlay = snapshot.overlay
    if overlay is None or overlay.uncertainty is None or snapshot.current is None:
        return None
    segmentation = snapshot.runs[snapshot.current].segmentation
    return uncertainty_map(segmentation, snapshot.case, overlay.region, overlay.uncertainty)


def _resample_shown_map(snapshot: SessionSnapshot) -> None:
    """Bring the map that is to be shown onto the case grid, where it is cached."""
    shown = snapshot.map_view
    if shown is None or snapshot.current is None:
        return
    if shown.answer is None:
        explanation = snapshot.runs[snapshot.current].explanation
    else:
        explanation = snapshot.answered[shown.answer].explanation
    if explanation is not None:
        explanation.maps[Pair(shown.primary, shown.region), shown.auxiliary]

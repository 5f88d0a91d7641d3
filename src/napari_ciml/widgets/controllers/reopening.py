"""A saved session: read in a thread, and put back into the window step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.uncertainty_maps import LARGEST, uncertainty_map
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.case_loading import LoadedCase

if TYPE_CHECKING:
    from napari_ciml.session.storage.snapshot import SessionSnapshot
    from napari_ciml.widgets.controllers.session import Session


@dataclass(frozen=True)
class LoadedSession:
    """A saved session that was read, and its case with what showing it needs.

    ``unsure`` is how unsure the run that is shown is of a region, if that is seen.
    """

    state: "SessionSnapshot"
    loaded: LoadedCase
    unsure: np.ndarray | None = None


def read(folder: Path, monitor: ProgressMonitor) -> LoadedSession:
    """Read a saved session; errors as `napari_ciml.session.storage.read.open_session`."""
    from napari_ciml.session.storage.read import open_session

    state = open_session(folder, monitor)
    _place(state)
    return LoadedSession(state, LoadedCase.of(state.case), _unsure(state))


def restore_session(session: "Session", found: LoadedSession) -> Iterator[None]:
    """Show a saved session in place of what is open; edits are followed once all is there."""
    live, wanted = session.live, found.state.live
    on = live.on if wanted is None else wanted
    live.set_on(False)
    try:
        yield from _show(session, found)
    finally:
        live.set_on(on)


def release_saved(session: "Session", state: "SessionSnapshot") -> None:
    """Let painted layers go that a saved session has as they are."""
    for layer in view_state.saved_layers(session.layers, state.corrections):
        session.autosave.discard(layer)
        view_state.release_saved_layer(session.layers, layer)


def _show(session: "Session", found: LoadedSession) -> Iterator[None]:
    state = found.state
    model, layers = session.model, session.layers
    model.set_discovered(state.scan)
    for row, modality in enumerate(state.modalities):
        model.set_modality(row, modality)
    model.set_reference(state.case.reference)
    arranged = session.display.layouts.current
    release_saved(session, state)
    yield from session.show_single_plane(found.loaded)
    yield
    if state.checkpoint is not None:
        model.set_checkpoint(state.checkpoint)
    model.reset_request(state.asked, state.past, state.future)
    model.set_device(state.device)
    model.set_engine(state.engine)
    if state.current is not None:
        run = state.runs[state.current]
        model.runs.restore(state.runs, state.current)
        yield from layers.show_segmentation(state.case, run.segmentation)
        model.set_segmentation(run.segmentation, run.info)
        yield
        session.explanation.from_state(state.questions, state.shown)
        yield
    model.set_grid(state.grid)
    regions = state.asked.decomposition.regions
    yield from view_state.restore_edited_label_maps(layers, state.case, state.corrections, regions)
    model.findings.set_marks(state.marks)
    _lay_over(session, found)
    session.label_maps.choose_named(state.looked_at)
    laid = state.laid_over
    differing = laid.region if laid is not None and laid.kind == "difference" else None
    session.reference_comparison.compare_with(state.reference, differing)
    yield
    view_state.apply_layer_appearances(layers, state.case, state.looks)
    yield
    if state.view is not None:
        yield from view_state.apply_camera_state(layers.viewer, state.view)
        arranged = state.view.arrangement
    session.display.layouts.arrange(arranged)
    if state.two_runs is not None:
        session.run_comparison.put(state.two_runs)


def _lay_over(session: "Session", found: LoadedSession) -> None:
    state, layers = found.state, session.layers
    wanted = state.laid_over
    if wanted is None or state.current is None:
        return
    if wanted.kind == "probability":
        segmentation = state.runs[state.current].segmentation
        layers.show_probability(state.case, segmentation, wanted.region)
    elif wanted.doubt is not None and found.unsure is not None:
        about = (wanted.doubt, wanted.region)
        layers.show_uncertainty(state.case, found.unsure, about, LARGEST[wanted.doubt])


def _unsure(state: "SessionSnapshot") -> np.ndarray | None:
    """Compute how unsure a region is, if that is seen, in the thread that opens the session."""
    wanted = state.laid_over
    if wanted is None or wanted.doubt is None or state.current is None:
        return None
    segmentation = state.runs[state.current].segmentation
    return uncertainty_map(segmentation, state.case, wanted.region, wanted.doubt)


def _place(state: "SessionSnapshot") -> None:
    """Bring the map that is shown onto the case grid, in the thread that opens the session."""
    shown = state.shown
    if shown is None or state.current is None:
        return
    whole = state.runs[state.current].explanation
    answers = [one.explanation for one in state.questions]
    found = whole if shown.question is None else answers[shown.question]
    if found is not None:
        found.maps[Pair(shown.primary, shown.region), shown.auxiliary]

"""A saved session: read in a thread, and put back into the window step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.decomposition import Pair
from napari_ciml.inference.doubt import LARGEST, doubt_about
from napari_ciml.monitor import Monitor
from napari_ciml.widgets.control import standing
from napari_ciml.widgets.control.loaded import Loaded

if TYPE_CHECKING:
    from napari_ciml.saved.state import State
    from napari_ciml.widgets.control.session import Session


@dataclass(frozen=True)
class Reopened:
    """A saved session that was read, and its case with what showing it needs.

    ``unsure`` is how unsure the run that is shown is of a region, if that is seen.
    """

    state: "State"
    loaded: Loaded
    unsure: np.ndarray | None = None


def read(folder: Path, monitor: Monitor) -> Reopened:
    """Read a saved session; errors as `napari_ciml.saved.reopen.open_session`."""
    from napari_ciml.saved.reopen import open_session

    state = open_session(folder, monitor)
    _place(state)
    return Reopened(state, Loaded.of(state.case), _unsure(state))


def put_back(session: "Session", found: Reopened) -> Iterator[None]:
    """Show a saved session in place of what is open; edits are followed once all is there."""
    live, wanted = session.live, found.state.live
    on = live.on if wanted is None else wanted
    live.set_on(False)
    try:
        yield from _show(session, found)
    finally:
        live.set_on(on)


def release_saved(session: "Session", state: "State") -> None:
    """Let painted layers go that a saved session has as they are."""
    for layer in standing.saved_layers(session.layers, state.corrections):
        session.keeping.release(layer)
        standing.let_go(session.layers, layer)


def _show(session: "Session", found: Reopened) -> Iterator[None]:
    state = found.state
    review, layers = session.review, session.layers
    review.set_scan(state.scan)
    for row, modality in enumerate(state.modalities):
        review.set_modality(row, modality)
    review.set_reference(state.case.reference)
    arranged = session.looking.arranging.now
    release_saved(session, state)
    yield from session.put(found.loaded)
    yield
    if state.checkpoint is not None:
        review.set_checkpoint(state.checkpoint)
    review.start_from(state.asked, state.past, state.future)
    review.set_device(state.device)
    review.set_engine(state.engine)
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
    _lay_over(session, found)
    session.measuring.choose_named(state.looked_at)
    laid = state.laid_over
    differing = laid.region if laid is not None and laid.kind == "difference" else None
    session.against.compare_with(state.reference, differing)
    yield
    standing.set_looks(layers, state.case, state.looks)
    yield
    if state.view is not None:
        yield from standing.set_view(layers.viewer, state.view)
        arranged = state.view.arrangement
    session.looking.arranging.arrange(arranged)
    if state.two_runs is not None:
        session.comparing.put(state.two_runs)


def _lay_over(session: "Session", found: Reopened) -> None:
    state, layers = found.state, session.layers
    wanted = state.laid_over
    if wanted is None or state.current is None:
        return
    if wanted.kind == "probability":
        segmentation = state.runs[state.current].segmentation
        layers.show_probability(state.case, segmentation, wanted.region)
    elif wanted.doubt is not None and found.unsure is not None:
        about = (wanted.doubt, wanted.region)
        layers.show_doubt(state.case, found.unsure, about, LARGEST[wanted.doubt])


def _unsure(state: "State") -> np.ndarray | None:
    """Compute how unsure a region is, if that is seen, in the thread that opens the session."""
    wanted = state.laid_over
    if wanted is None or wanted.doubt is None or state.current is None:
        return None
    segmentation = state.runs[state.current].segmentation
    return doubt_about(segmentation, state.case, wanted.region, wanted.doubt)


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

"""A saved session: read in a thread, and put back into the window step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.decomposition import Pair
from napari_ciml.monitor import Monitor
from napari_ciml.widgets.control import standing
from napari_ciml.widgets.control.loaded import Loaded

if TYPE_CHECKING:
    from napari_ciml.saved.state import State
    from napari_ciml.widgets.control.session import Session


@dataclass(frozen=True)
class Reopened:
    """A saved session that was read, and its case with what showing it needs."""

    state: "State"
    loaded: Loaded


def read(folder: Path, monitor: Monitor) -> Reopened:
    """Read a saved session; errors as `napari_ciml.saved.reopen.open_session`."""
    from napari_ciml.saved.reopen import open_session

    state = open_session(folder, monitor)
    _place(state)
    return Reopened(state, Loaded.of(state.case))


def put_back(session: "Session", found: Reopened) -> Iterator[None]:
    """Show a saved session in place of what is open; edits are followed once all is there."""
    live, wanted = session.live, found.state.live
    on = live.on if wanted is None else wanted
    live.set_on(False)
    try:
        yield from _show(session, found)
    finally:
        live.set_on(on)


def _show(session: "Session", found: Reopened) -> Iterator[None]:
    state = found.state
    review, layers = session.review, session.layers
    review.set_scan(state.scan)
    for row, modality in enumerate(state.modalities):
        review.set_modality(row, modality)
    review.set_reference(state.case.reference)
    yield from session.show(found.loaded)
    yield
    if state.checkpoint is not None:
        review.set_checkpoint(state.checkpoint)
    review.start_from(state.asked, state.past, state.future)
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

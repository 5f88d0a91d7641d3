"""Which complementary-information map is shown over its modality, and how opaque."""

import numpy as np
from psygnal import Signal

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.generation import Counter
from napari_ciml.widgets.controllers.context import Context

RESAMPLING = "Resampling the map"

MapKey = tuple[Pair, str]
"""The pair and the auxiliary of a map."""


class MapOverlayController:
    """Shows one map of one explanation; it is brought onto the case grid in a thread.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.

    Attributes
    ----------
    selected : (Pair, str) or None
        The map that is shown.
    opacity : float
        In [0, 1]; of this and every next map.

    Signals
    -------
    changed()
        Another map is selected.
    """

    changed = Signal()

    def __init__(self, context: Context) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.selected: MapKey | None = None
        self.opacity = 0.8
        self._selection = Counter()

    def show(self, explanation: Explanation, key: MapKey) -> None:
        """Show a map over the modality of its auxiliary, if the explanation has it."""
        case = self.model.case
        if case is None or key not in explanation.weights:
            return
        self.select(key)
        self._selection.advance()

        def draw() -> None:
            self.layers.show_map(case, explanation, *key)
            self.layers.set_map_opacity(self.opacity)

        if explanation.maps.is_cached(key):
            draw()
            return

        def work(_: ProgressMonitor) -> np.ndarray:
            return explanation.maps[key]

        # Going through a table with the arrow keys computes the last map only.
        self.jobs.io.submit(RESAMPLING, work, lambda _: draw(), generation=self._selection.now())

    def default_map(self, explanation: Explanation | None) -> MapKey | None:
        """Return the map of an explanation to show first: the selected one, else the strongest."""
        if explanation is None:
            return None
        return self.selected if self.selected in explanation.weights else explanation.strongest

    def hide(self) -> None:
        """Remove the map."""
        self.select(None)
        self.layers.hide_results()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of this and every next map."""
        self.opacity = opacity
        self.layers.set_map_opacity(opacity)

    def select(self, key: MapKey | None) -> None:
        """Select a map; `show` draws it."""
        if key != self.selected:
            self.selected = key
            self._selection.advance()
            self.changed.emit()

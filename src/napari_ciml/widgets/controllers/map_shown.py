"""The complementary-information map that is shown: whose it is, and how opaque."""

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.session import Session

Marked = tuple[Pair, str]
"""A pair and an auxiliary."""


class MapOverlayController:
    """One map of one answer, brought onto the case grid in a thread.

    Parameters
    ----------
    session : Session
        Whose window it is shown in.

    Attributes
    ----------
    marked : (Pair, str) or None
        Whose map it is.
    opacity : float
        In [0, 1]; of this and every next map.
    """

    changed = Signal()

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.marked: Marked | None = None
        self.opacity = 0.8
        self._of: Explanation | None = None

    def show(self, found: Explanation, wanted: Marked) -> None:
        """Show a map of an answer over the modality it belongs to, if the answer has it."""
        case = self.session.model.case
        if case is None or wanted not in found.weights:
            return
        self._of = found
        self.mark(wanted)

        def show(_: object) -> None:
            if self._of is found and self.marked == wanted:
                self.session.layers.show_map(case, found, *wanted)
                self.session.layers.set_map_opacity(self.opacity)

        if found.maps.is_cached(wanted):
            show(None)
            return
        # Who runs through a table waits for the last row alone.
        place = lambda _: found.maps[wanted] if self.marked == wanted else None  # noqa: E731
        self.session.autosave.runner.submit("Placing the map", place, show)

    def default_map(self, found: Explanation | None) -> Marked | None:
        """Return whose map of an answer is to be seen: that of before, else the strongest."""
        if found is None:
            return None
        return self.marked if self.marked in found.weights else found.strongest

    def hide(self) -> None:
        """Take it away."""
        self.mark(None)
        self.session.layers.hide_results()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of this and every next map."""
        self.opacity = opacity
        self.session.layers.set_map_opacity(opacity)

    def mark(self, wanted: Marked | None) -> None:
        """Say whose map is to be seen."""
        if wanted != self.marked:
            self.marked = wanted
            self.changed.emit()

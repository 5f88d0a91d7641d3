"""How a case is arranged: one plane, every modality in a pane, or three planes."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_ciml.review import Review
from napari_ciml.saved.models import Arrangement
from napari_ciml.widgets.layers.segmented import CaseLayers
from napari_ciml.widgets.looking.annotations import Annotations
from napari_ciml.widgets.looking.hanging import Hanging

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.widgets.looking.planes import Planes


class Arranging:
    """Goes from one arrangement to another, in turns of the event loop and by way of one plane.

    Parameters
    ----------
    layers : CaseLayers
        Of the viewer.
    review : Review
        Whose case is shown.
    annotations : Annotations
        Of its canvas.
    bind : callable
        Binds keys and mouse to a further canvas.
    arranged : callable
        Called when something is arranged otherwise.
    """

    def __init__(
        self,
        layers: CaseLayers,
        review: Review,
        annotations: Annotations,
        bind: Callable[["ViewerModel"], None],
        arranged: Callable[[], None],
    ) -> None:
        self.layers, self.review, self.bind, self.arranged = layers, review, bind, arranged
        self.hanging = Hanging(layers, annotations, self._step)
        self.planes: Planes | None = None
        self._wanted: Arrangement | None = None
        self._closed = False

    @property
    def now(self) -> Arrangement:
        """How the case is arranged, or on the way to be."""
        return self._wanted or self._there

    @property
    def busy(self) -> bool:
        """Whether it is on the way to another arrangement."""
        return self._wanted is not None or self._under_way

    @property
    def enlarged(self) -> float:
        """How much larger one plane would be shown alone, at the same view."""
        if self.hanging.shown:
            return self.hanging.enlarged
        return self.planes.enlarged if self.planes is not None and self.planes.shown else 1.0

    def toggle(self, wanted: Arrangement) -> None:
        """Arrange so, or go back to one plane."""
        self.arrange("single" if self.now == wanted else wanted)

    def arrange(self, wanted: Arrangement) -> None:
        """Arrange so, once what is under way is done."""
        if self.review.case is not None:
            self._wanted = wanted
            self._go_on()

    def alone(self) -> Iterator[None]:
        """Go back to one plane; a generator that ends when it is there."""
        self.arrange("single")
        while self.busy and not self._closed:
            yield

    def close(self) -> None:
        """Let the window go."""
        self._closed = True
        self.hanging.close()
        if self.planes is not None:
            self.planes.close()

    @property
    def _there(self) -> Arrangement:
        if self.hanging.shown:
            return "panes"
        return "planes" if self.planes is not None and self.planes.shown else "single"

    @property
    def _under_way(self) -> bool:
        return self.hanging.busy or (self.planes is not None and self.planes.busy)

    def _step(self) -> None:
        self._go_on()
        self.arranged()

    def _go_on(self) -> None:
        """Begin the next step to what is wanted, if none is under way."""
        if self._wanted is None or self._under_way or self._closed:
            return
        if self._there == self._wanted:
            self._wanted = None
        elif self._there != "single":
            (self.hanging if self.hanging.shown else self._made()).leave()
        else:
            wanted, self._wanted = self._wanted, None
            self.layers.viewer.dims.ndisplay = 2
            self._show(wanted)

    def _show(self, wanted: Arrangement) -> None:
        case = self.review.case
        if wanted == "panes":
            self.hanging.show()
        elif case is not None and getattr(self.layers.viewer, "window", None) is not None:
            self._made().show(case.grid.direction)

    def _made(self) -> "Planes":
        if self.planes is None:
            from napari_ciml.widgets.looking.planes import Planes

            self.planes = Planes(self.layers.viewer, self._step, self.bind)
        return self.planes

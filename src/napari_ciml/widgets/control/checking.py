"""The controller of what is done to a label map before it is given away: checked, and saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_ciml.cases.labels import compact
from napari_ciml.cases.write import write_on_native_grid
from napari_ciml.errors import CimlError
from napari_ciml.measures.faults import Fault, find_faults
from napari_ciml.monitor import Monitor
from napari_ciml.widgets.control.measuring import Measuring
from napari_ciml.widgets.layers.origin import known_origin


class Checking:
    """Checks and saves the label map that is looked at.

    Parameters
    ----------
    measuring : Measuring
        Knows which one that is.
    """

    def __init__(self, measuring: Measuring) -> None:
        self.measuring, self.runner = measuring, measuring.keeping.runner

    def check(self, smallest_ml: float, done: Callable[[tuple[Fault, ...]], None]) -> None:
        """Look for faults in the label map.

        Raises
        ------
        CimlError
            If there is no label map.
        """
        case, layer, regions = (
            self.measuring.review.case,
            self.measuring.current(),
            self.measuring.regions(),
        )
        if case is None or layer is None:
            raise CimlError("Open a case and segment it, or paint a label map, first.")
        labels, regions = np.array(layer.data), self.measuring.regions()

        def work(monitor: Monitor) -> tuple[Fault, ...]:
            return find_faults(labels, regions, case.grid, smallest_ml, monitor)

        self.runner.submit("Checking", work, self.measuring.for_case(case, done))

    def save(self, path: Path, done: Callable[[], None]) -> None:
        """Write the label map on the grid of its case's file.

        Raises
        ------
        CimlError
            If there is no label map.
        """
        layer = self.measuring.current()
        if layer is None:
            raise CimlError("Open a case and segment it, or paint a label map, first.")
        case, labels = known_origin(layer).case, np.array(layer.data)

        def work(_: Monitor) -> None:
            write_on_native_grid(path, compact(labels), case)

        self.runner.submit("Saving", work, lambda _: done())

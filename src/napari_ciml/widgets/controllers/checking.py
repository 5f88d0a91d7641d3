"""The controller of what is done to a label map before it is given away: checked, and saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_ciml.cases.labels import to_smallest_dtype
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.errors import CimlError
from napari_ciml.metrics.label_checks import LabelIssue, check_labels
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap
from napari_ciml.widgets.layers.metadata import require_metadata


class LabelMapChecks:
    """Checks and saves the label map that is looked at.

    Parameters
    ----------
    measuring : Measuring
        Knows which one that is.
    """

    def __init__(self, measuring: ActiveLabelMap) -> None:
        self.measuring, self.runner = measuring, measuring.keeping.runner

    def check(self, smallest_ml: float, done: Callable[[tuple[LabelIssue, ...]], None]) -> None:
        """Look for faults in the label map.

        Raises
        ------
        CimlError
            If there is no label map.
        """
        case, layer, regions = (
            self.measuring.model.case,
            self.measuring.current(),
            self.measuring.regions(),
        )
        if case is None or layer is None:
            raise CimlError("Open a case and segment it, or paint a label map, first.")
        labels, regions = np.array(layer.data), self.measuring.regions()

        def work(monitor: ProgressMonitor) -> tuple[LabelIssue, ...]:
            return check_labels(labels, regions, case.grid, smallest_ml, monitor)

        self.runner.submit("Checking", work, self.measuring.drop_if_case_changed(case, done))

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
        case, labels = require_metadata(layer).case, np.array(layer.data)

        def work(_: ProgressMonitor) -> None:
            write_on_native_grid(path, to_smallest_dtype(labels), case)

        self.runner.submit("Saving", work, lambda _: done())

"""What is measured of a segmentation: how large it is, and how well two agree (section 4.1.2)."""

from napari_ciml.metrics.agreement import (
    RegionScore,
    compare,
    dice,
    difference,
    hd95,
    slice_of_largest_difference,
    surface_distance,
)
from napari_ciml.metrics.diameters import Diameters, axial_diameters
from napari_ciml.metrics.evaluate import evaluate

__all__ = [
    "Diameters",
    "RegionScore",
    "axial_diameters",
    "compare",
    "dice",
    "difference",
    "evaluate",
    "hd95",
    "slice_of_largest_difference",
    "surface_distance",
]

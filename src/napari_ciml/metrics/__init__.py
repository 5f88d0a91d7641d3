"""Metrics of segmentations: agreement (section 4.1.2), diameters, label checks."""

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

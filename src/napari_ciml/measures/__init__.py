"""What is measured of a segmentation: how large it is, and how well two agree (section 4.1.2)."""

from napari_ciml.measures.agreement import (
    RegionScore,
    compare,
    dice,
    difference,
    hd95,
    most_different,
    surface_distance,
)
from napari_ciml.measures.files import evaluate
from napari_ciml.measures.size import Diameters, axial_diameters

__all__ = [
    "Diameters",
    "RegionScore",
    "axial_diameters",
    "compare",
    "dice",
    "difference",
    "evaluate",
    "hd95",
    "most_different",
    "surface_distance",
]

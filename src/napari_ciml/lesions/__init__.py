"""Lesions of a label map: size, model evidence, and reasons to review them."""

from napari_ciml.lesions.detection import MOST, detect_lesions
from napari_ciml.lesions.lesion import Inventory, Lesion, RegionSummary

__all__ = ["MOST", "Inventory", "Lesion", "RegionSummary", "detect_lesions"]

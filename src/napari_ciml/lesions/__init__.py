"""The lesions of a label map: how large each is, how sure, and why it should be looked at."""

from napari_ciml.lesions.detection import MOST, detect_lesions
from napari_ciml.lesions.lesion import Inventory, Lesion, RegionSummary

__all__ = ["MOST", "Inventory", "Lesion", "RegionSummary", "detect_lesions"]

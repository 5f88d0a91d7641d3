"""The lesions of a label map: how large each is, how sure, and why it should be looked at."""

from napari_ciml.lesions.inventory import MOST, take_inventory
from napari_ciml.lesions.lesion import Inventory, Lesion, RegionSummary

__all__ = ["MOST", "Inventory", "Lesion", "RegionSummary", "take_inventory"]

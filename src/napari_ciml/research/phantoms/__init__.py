"""Synthetic cases with a known reference: a glioma in brain MR, lesions in PET/CT."""

from napari_ciml.research.phantoms.phantom import Phantom, make_phantom
from napari_ciml.research.phantoms.write import PhantomSettings, write_phantoms

__all__ = ["Phantom", "PhantomSettings", "make_phantom", "write_phantoms"]

"""Complementary information mutual learning (CIML) for multimodal medical images, in napari."""

__version__ = "0.1.0"

"""The benchmark ``napari-ciml bench``: speed and memory next to MONAI and nnU-Net."""

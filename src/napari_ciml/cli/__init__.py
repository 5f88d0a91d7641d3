"""The command line: a thin face of the same calls the widgets make."""

from napari_ciml.cli.main import main

__all__ = ["main"]

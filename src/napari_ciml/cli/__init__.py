"""Command line: a thin layer over the functions that the widgets call, too."""

from napari_ciml.cli.main import main

__all__ = ["main"]

"""What the user sees in napari: the only rooms that know Qt and napari."""

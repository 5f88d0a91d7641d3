"""Display of a case: layouts, orthogonal planes, window/level, annotations, key bindings."""

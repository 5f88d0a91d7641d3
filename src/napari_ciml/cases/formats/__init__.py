"""Volume files: one module per format, and the dispatch to them."""

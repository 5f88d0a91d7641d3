"""A review session on disk: JSON that says what there is, NIfTI beside it, no pickles."""

"""Looking at a case: planes, modalities side by side, windows, letters, and the keys for it."""

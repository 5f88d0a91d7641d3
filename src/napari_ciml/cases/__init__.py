"""Cases: the modalities of one patient, recognised, aligned on one grid, and written back."""

"""Training: cases with a reference, patches, augmentation, the loop."""

"""Training: labelled cases, patches, augmentation, the training loop, evaluation, fine-tuning."""

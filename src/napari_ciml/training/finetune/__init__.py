"""Fine-tuning of a checkpoint on corrected cases."""

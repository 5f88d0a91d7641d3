"""From a case and a checkpoint to a segmentation: plan, tiles, devices, ensemble."""

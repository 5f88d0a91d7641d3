"""The CIML network of section 3 and Table 1: encoders, gates, segmentors, loss, checkpoints."""

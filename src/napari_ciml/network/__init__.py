"""The network of section 3 and Table 1: encoders, gates, segmentors, loss, checkpoint file."""

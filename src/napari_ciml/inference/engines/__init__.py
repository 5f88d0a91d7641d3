"""Engines that run the network on one tile: PyTorch and OpenVINO."""

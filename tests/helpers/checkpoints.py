"""Descriptions of tiny networks."""

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.settings import NetworkSettings


def tiny_info(decomposition: Decomposition, **settings: object) -> CheckpointInfo:
    """Describe a network of two base filters at 4 mm."""
    network = NetworkSettings(**{"base_filters": 2, "norm": "instance", **settings})
    return CheckpointInfo(
        name="tiny",
        decomposition=decomposition,
        network=network,
        spacing=(4.0, 4.0, 4.0),
        patch=(32, 32, 32),
        normalisation=dict.fromkeys(decomposition.input_modalities, "zscore"),
        training=TrainingRecord(data="nothing", cases=0, steps=0, seed=0),
    )

"""Sensitivity of a segmentation to its messages: mute each in turn."""

from dataclasses import replace

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.explanation.result import MutingEffect
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import require_same_checkpoint, segment
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


def sensitivity(
    case: Case, checkpoint: Checkpoint, segmentation: Segmentation, monitor: ProgressMonitor
) -> tuple[MutingEffect, ...]:
    """Mute every message of a segmentation in turn, and compare the results with it.

    With the segmentation's cache, each muted message runs one segmentor.

    Parameters
    ----------
    case : Case
        The segmented case.
    checkpoint : Checkpoint
        The checkpoint that segmented it.
    segmentation : Segmentation
        The segmentation to compare with.
    monitor : ProgressMonitor
        Receives a step for each message; can cancel within one tile.

    Returns
    -------
    tuple of MutingEffect
        The message with the smallest Dice first.

    Raises
    ------
    CheckpointError
        If the segmentation was made with another checkpoint.
    CancelledError
        If the monitor is cancelled.
    """
    require_same_checkpoint(checkpoint, segmentation, case)
    settings, plan = segmentation.settings, segmentation.plan
    regions = plan.decomposition.regions
    reference = region_masks(segmentation.label_map, regions)
    messages = [m for m in plan.decomposition.messages if m not in plan.muted]
    silent = ProgressMonitor(stop=monitor.stop)
    effects = []
    for index, message in enumerate(messages):
        monitor.step(f"Muting {message.auxiliary} for {message.primary}", index, len(messages))
        muted = replace(settings, muted=settings.muted | {message}, kappa_samples=0)
        result = segment(case, checkpoint, plan.decomposition, muted, silent, segmentation)
        masks = region_masks(result.label_map, regions)
        volumes, before = result.volumes_ml, segmentation.volumes_ml
        effects.append(
            MutingEffect(
                message,
                {name: volumes[name] - before[name] for name in volumes},
                {name: dice(reference[name], np.asarray(mask)) for name, mask in masks.items()},
            )
        )
    return tuple(sorted(effects, key=lambda effect: effect.worst))

"""Every message muted in turn, and what that costs."""

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
    """Mute every message of a segmentation in turn; the costliest comes first.

    It starts from what the segmentation kept: each muting runs one segmentor.

    Parameters
    ----------
    case : Case
        What was segmented.
    checkpoint : Checkpoint
        That segmented it.
    segmentation : Segmentation
        What each muting is compared with.
    monitor : Monitor
        Told at each message, can cancel within one tile.

    Raises
    ------
    CheckpointError
        If it is another checkpoint.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    require_same_checkpoint(checkpoint, segmentation, case)
    settings, plan = segmentation.settings, segmentation.plan
    regions = plan.decomposition.regions
    whole = region_masks(segmentation.label_map, regions)
    messages = [m for m in plan.decomposition.messages if m not in plan.muted]
    quiet = ProgressMonitor(stop=monitor.stop)
    costs = []
    for done, message in enumerate(messages):
        monitor.step(f"Muting {message.auxiliary} for {message.primary}", done, len(messages))
        muted = replace(settings, muted=settings.muted | {message}, kappa_samples=0)
        made = segment(case, checkpoint, plan.decomposition, muted, quiet, segmentation)
        masks = region_masks(made.label_map, regions)
        volumes, before = made.volumes_ml, segmentation.volumes_ml
        costs.append(
            MutingEffect(
                message,
                {name: volumes[name] - before[name] for name in volumes},
                {name: dice(whole[name], np.asarray(mask)) for name, mask in masks.items()},
            )
        )
    return tuple(sorted(costs, key=lambda cost: cost.worst))

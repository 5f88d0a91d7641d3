"""Score a network, or an ensemble of networks, on cases with a reference."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.labels import label_map, nest_regions, region_masks
from napari_ciml.cases.writing import read_label_map
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.files import write_table
from napari_ciml.inference.postprocessing import remove_small_and_fill_holes
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import THRESHOLD, SegmentSettings
from napari_ciml.metrics import dice, hd95
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

Summary = dict[str, float | int | None]
"""Of a region: number of cases, mean and standard deviation of Dice and HD95 (or None)."""


@dataclass(frozen=True)
class CaseScore:
    """Dice and HD95 of one region of a case; HD95 is NaN if either mask is empty.

    ``case`` is the case's key, not its name.
    """

    case: str
    region: str
    dice: float
    hd95_mm: float


def score(
    cases: Sequence[LabelledCase],
    checkpoints: Sequence[Checkpoint],
    device: str,
    monitor: ProgressMonitor,
    decomposition: Decomposition | None = None,
) -> list[CaseScore]:
    """Segment cases with the mean probability of all checkpoints, and compare on the case grid.

    Parameters
    ----------
    cases : sequence of LabelledCase
        Cases, each with a label map.
    checkpoints : sequence of Checkpoint
        Checkpoints with the same decomposition and postprocessing.
    device : str
        Device, as in `SegmentSettings`.
    monitor : ProgressMonitor
        Receives a step per case.
    decomposition : Decomposition, optional
        Decomposition to segment with; that of the checkpoints by default.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    info = checkpoints[0].info
    target = decomposition or info.decomposition
    regions = target.regions
    settings = SegmentSettings(device=device, engine="torch")
    scores = []
    for k, labelled in enumerate(cases):
        monitor.step("Scoring", k, len(cases))
        case = labelled.open(target.input_modalities)
        results = [segment(case, checkpoint, target, settings) for checkpoint in checkpoints]
        masks = {
            region.name: np.mean([r.probabilities[region.name] for r in results], axis=0)
            >= THRESHOLD
            for region in regions
        }
        cleaned = remove_small_and_fill_holes(
            nest_regions(masks, regions), info.postprocessing, case.grid.voxel_ml
        )
        masks = nest_regions(cleaned, regions)
        predicted = region_masks(label_map(masks, regions), regions)
        expected = region_masks(read_label_map(labelled.reference, case), regions)
        for name, mask in predicted.items():
            distance = hd95(mask, expected[name], case.grid.scale)
            scores.append(CaseScore(labelled.key, name, dice(mask, expected[name]), distance))
    return scores


def write_scores(path: Path, scores: Sequence[CaseScore]) -> None:
    """Write a CSV table with a row for each case and region."""
    write_table(path, [asdict(one) for one in scores])


def summarise(scores: Sequence[CaseScore]) -> dict[str, Summary]:
    """Return mean and standard deviation over cases by region; HD95 where it is defined."""
    summary: dict[str, Summary] = {}
    for region in dict.fromkeys(one.region for one in scores):
        of_region = [one for one in scores if one.region == region]
        dices = np.array([one.dice for one in of_region])
        distances = np.array([one.hd95_mm for one in of_region])
        defined = distances[np.isfinite(distances)]
        summary[region] = {
            "cases": len(dices),
            "dice_mean": round(float(dices.mean()), 4),
            "dice_sd": round(float(dices.std(ddof=min(1, len(dices) - 1))), 4),
            "hd95_mm_mean": round(float(defined.mean()), 2) if len(defined) else None,
            "hd95_mm_sd": round(float(defined.std()), 2) if len(defined) else None,
            "hd95_undefined": int(len(distances) - len(defined)),
        }
    return summary

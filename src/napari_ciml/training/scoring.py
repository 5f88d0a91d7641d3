"""How good a network, or several of them together, is on cases with a reference."""

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
"""Of one region: cases, mean and standard deviation of Dice and HD95 (None: defined nowhere)."""


@dataclass(frozen=True)
class CaseScore:
    """One region of one case: by the case's key, Dice, and HD95 in mm (NaN: one is empty)."""

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
    """Segment cases by the mean probability of all checkpoints, and compare on the case grid.

    Parameters
    ----------
    cases : sequence of LabelledCase
        With a label map each.
    checkpoints : sequence of Checkpoint
        Of one decomposition and one way to finish.
    device : str
        As `SegmentSettings`.
    monitor : Monitor
        Told at each case.
    decomposition : Decomposition, optional
        What is asked of them; their own by default.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    info = checkpoints[0].info
    wanted = decomposition or info.decomposition
    regions = wanted.regions
    found = []
    for done, labelled in enumerate(cases):
        monitor.step("Scoring", done, len(cases))
        case = labelled.open(wanted.input_modalities)
        results = [
            segment(case, checkpoint, wanted, SegmentSettings(device=device, engine="torch"))
            for checkpoint in checkpoints
        ]
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
            found.append(CaseScore(labelled.key, name, dice(mask, expected[name]), distance))
    return found


def write_scores(path: Path, scores: Sequence[CaseScore]) -> None:
    """Write a table with a line for each case and region."""
    write_table(path, [asdict(one) for one in scores])


def summarise(scores: Sequence[CaseScore]) -> dict[str, Summary]:
    """Return mean and standard deviation over cases, by region; HD95 where both are not empty."""
    summary: dict[str, Summary] = {}
    for region in dict.fromkeys(one.region for one in scores):
        of_region = [one for one in scores if one.region == region]
        dices = np.array([one.dice for one in of_region])
        distances = np.array([one.hd95_mm for one in of_region])
        known = distances[np.isfinite(distances)]
        summary[region] = {
            "cases": len(dices),
            "dice_mean": round(float(dices.mean()), 4),
            "dice_sd": round(float(dices.std(ddof=min(1, len(dices) - 1))), 4),
            "hd95_mm_mean": round(float(known.mean()), 2) if len(known) else None,
            "hd95_mm_sd": round(float(known.std()), 2) if len(known) else None,
            "hd95_undefined": int(len(distances) - len(known)),
        }
    return summary

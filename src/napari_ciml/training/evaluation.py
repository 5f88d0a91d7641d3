"""Evaluate a checkpoint on a data set: every subset of its modalities, calibration, weights."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.decomposition.edits import modality_subsets
from napari_ciml.files import ensure_writable_folder, write_table, write_text
from napari_ciml.network.checkpoint import Checkpoint, save_checkpoint, stored_dtype
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.calibration import calibration_error, predict_for_calibration
from napari_ciml.training.scoring import CaseScore, Summary, score, summarise
from napari_ciml.training.typical_weights import weight_statistics

SCORES, CALIBRATION, WEIGHTS = "scores.csv", "calibration.csv", "weights.csv"
PAGE = "evaluation.md"


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    cases: Sequence[LabelledCase],
    device: str,
    monitor: ProgressMonitor,
    output: Path,
    annotated: Path | None = None,
) -> Path:
    """Score a checkpoint on cases with a reference; return the path of the summary page.

    Parameters
    ----------
    checkpoint : Checkpoint
        Evaluated with its own decomposition, then restricted to every subset of the modalities.
    cases : sequence of LabelledCase
        Cases that were not trained on.
    device : str
        Device, as in `SegmentSettings`.
    monitor : ProgressMonitor
        Receives a step per case.
    output : pathlib.Path
        Folder for ``scores.csv`` (Dice and HD95 of each case, by key), ``calibration.csv``,
        ``weights.csv`` (complementary-information weights) and ``evaluation.md``.
    annotated : pathlib.Path, optional
        File for a copy of the checkpoint that contains the weight statistics.

    Raises
    ------
    InputError
        If a case cannot be used, or the folder cannot be written to.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    ensure_writable_folder(output)
    decomposition = checkpoint.info.decomposition
    scores: dict[str, list[CaseScore]] = {}
    for restricted in (decomposition, *modality_subsets(decomposition)):
        name = "+".join(restricted.input_modalities)
        monitor.notify(f"{name}: {len(cases)} cases.")
        scores[name] = score(cases, [checkpoint], device, monitor, restricted)
        rows = [{"modalities": m, **asdict(one)} for m, ones in scores.items() for one in ones]
        write_table(output / SCORES, rows)
    calibration = _calibration(checkpoint, cases, device, monitor)
    write_table(output / CALIBRATION, calibration)
    weights = weight_statistics(checkpoint, cases, device, monitor)
    write_table(output / WEIGHTS, [weight.model_dump() for weight in weights])
    if annotated is not None:
        info = checkpoint.info.model_copy(update={"weight_statistics": weights})
        save_checkpoint(annotated, checkpoint.network, info, stored_dtype(checkpoint.path))
    summaries = {name: summarise(ones) for name, ones in scores.items()}
    page = _page(decomposition.region_names, summaries, calibration)
    return write_text(output / PAGE, "\n".join(page))


def _calibration(
    checkpoint: Checkpoint, cases: Sequence[LabelledCase], device: str, monitor: ProgressMonitor
) -> list[dict[str, object]]:
    predictions = predict_for_calibration(cases, checkpoint, device, monitor)
    postprocessing = checkpoint.info.postprocessing
    return [
        {
            "region": region,
            "cases": len(cases),
            "temperature": postprocessing.temperatures.get(region, 1.0),
            "error_without": round(calibration_error(predictions, region), 5),
            "error": round(calibration_error(predictions, region, postprocessing), 5),
        }
        for region in checkpoint.info.decomposition.region_names
    ]


def _page(
    regions: Sequence[str],
    summaries: dict[str, dict[str, Summary]],
    calibration: Sequence[dict[str, object]],
) -> Iterator[str]:
    (all_modalities, *_) = summaries.values()
    (any_region, *_) = all_modalities.values()
    yield f"Dice over {any_region['cases']} cases, mean and standard deviation:\n"
    yield f"| modalities | {' | '.join(regions)} |"
    yield "|---" * (len(regions) + 1) + "|"
    for name, summary in summaries.items():
        yield f"| {name} | {' | '.join(_dice(summary.get(region)) for region in regions)} |"
    yield "\nHD95 in mm with all modalities (where neither is empty), and expected calibration"
    yield "error in the foreground (15 bins), without and with temperature scaling:\n"
    yield "| region | HD95 | temperature | error without | error |"
    yield "|---|---|---|---|---|"
    for row in calibration:
        scores = all_modalities[str(row["region"])]
        yield (
            f"| {row['region']} | {scores['hd95_mm_mean']} +- {scores['hd95_mm_sd']} | "
            f"{row['temperature']} | {row['error_without']} | {row['error']} |"
        )
    yield ""


def _dice(summary: Summary | None) -> str:
    if summary is None:
        return "not predicted"
    return f"{summary['dice_mean']:.3f} +- {summary['dice_sd']:.3f}"

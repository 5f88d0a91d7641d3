"""What a checkpoint is worth on a data set: every subset of its modalities, and calibration."""

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
PAGE = "measured.md"


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    cases: Sequence[LabelledCase],
    device: str,
    monitor: ProgressMonitor,
    output: Path,
    into: Path | None = None,
) -> Path:
    """Score a checkpoint on cases with a reference; return the page that sums it up.

    Parameters
    ----------
    checkpoint : Checkpoint
        Asked for its own decomposition, then for what is left of it with fewer modalities.
    cases : sequence of LabelledCase
        Not trained on.
    device : str
        As `SegmentSettings`.
    monitor : Monitor
        Told at each case.
    output : pathlib.Path
        Gets ``scores.csv`` (Dice and HD95 of each case, by key), ``calibration.csv``,
        ``weights.csv`` (of complementary information) and ``measured.md``.
    into : pathlib.Path, optional
        Gets a copy of the checkpoint that knows which weights are usual.

    Raises
    ------
    InputError
        If a case cannot be used, or the folder not be written to.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    ensure_writable_folder(output)
    whole = checkpoint.info.decomposition
    found: dict[str, list[CaseScore]] = {}
    for asked in (whole, *modality_subsets(whole)):
        name = "+".join(asked.input_modalities)
        monitor.notify(f"{name}: {len(cases)} cases.")
        found[name] = score(cases, [checkpoint], device, monitor, asked)
        rows = [{"modalities": m, **asdict(one)} for m, ones in found.items() for one in ones]
        write_table(output / SCORES, rows)
    calibration = _calibration(checkpoint, cases, device, monitor)
    write_table(output / CALIBRATION, calibration)
    weights = weight_statistics(checkpoint, cases, device, monitor)
    write_table(output / WEIGHTS, [weight.model_dump() for weight in weights])
    if into is not None:
        info = checkpoint.info.model_copy(update={"weight_statistics": weights})
        save_checkpoint(into, checkpoint.network, info, stored_dtype(checkpoint.path))
    summaries = {name: summarise(scores) for name, scores in found.items()}
    return write_text(output / PAGE, "\n".join(_page(whole.region_names, summaries, calibration)))


def _calibration(
    checkpoint: Checkpoint, cases: Sequence[LabelledCase], device: str, monitor: ProgressMonitor
) -> list[dict[str, object]]:
    judged, finish = (
        predict_for_calibration(cases, checkpoint, device, monitor),
        checkpoint.info.postprocessing,
    )
    return [
        {
            "region": region,
            "cases": len(cases),
            "temperature": finish.temperatures.get(region, 1.0),
            "error_without": round(calibration_error(judged, region), 5),
            "error": round(calibration_error(judged, region, finish), 5),
        }
        for region in checkpoint.info.decomposition.region_names
    ]


def _page(
    regions: Sequence[str],
    summaries: dict[str, dict[str, Summary]],
    calibration: Sequence[dict[str, object]],
) -> Iterator[str]:
    (first, *_) = summaries.values()
    (any_region, *_) = first.values()
    yield f"Dice over {any_region['cases']} cases, mean and standard deviation:\n"
    yield f"| modalities | {' | '.join(regions)} |"
    yield "|---" * (len(regions) + 1) + "|"
    for name, summary in summaries.items():
        yield f"| {name} | {' | '.join(_dice(summary.get(region)) for region in regions)} |"
    yield "\nHD95 in mm with all modalities (where neither is empty), and expected calibration"
    yield "error in the foreground (15 bins), without and with the temperature:\n"
    yield "| region | HD95 | temperature | error without | error |"
    yield "|---|---|---|---|---|"
    for row in calibration:
        found = first[str(row["region"])]
        yield (
            f"| {row['region']} | {found['hd95_mm_mean']} +- {found['hd95_mm_sd']} | "
            f"{row['temperature']} | {row['error_without']} | {row['error']} |"
        )
    yield ""


def _dice(found: Summary | None) -> str:
    return f"{found['dice_mean']:.3f} +- {found['dice_sd']:.3f}" if found else "not predicted"

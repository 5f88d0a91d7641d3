"""Reference for segmentation: nnU-Net v2's predictor with its default network and random weights.

Its planner configures the 3-D full-resolution network from the fingerprint of a data set like
BraTS; its predictor reads, normalises, crops, predicts and writes. If that would take very long,
one tile is timed and multiplied by the number of passes; reading and writing are then left out.
"""

import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, peak_memory_mib
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.clock import StageTimer, seconds_since_start
from napari_ciml.research.bench.config import BRATS, MARGIN, BenchConfig

_DATASET = "Dataset001_Bench"
_CASES = 369
"""Number of training cases of BraTS 2020."""
_STEP = 0.5
_MAX_SECONDS = 600.0
"""Estimated time above which only one tile is timed."""


def without_mirroring(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment without test-time augmentation."""
    return segment_with_nnunet(config, False, monitor)


def with_mirroring(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment each tile eight times, mirrored along all axes: nnU-Net's default."""
    return segment_with_nnunet(config, True, monitor)


def segment_with_nnunet(
    config: BenchConfig, mirror: bool, monitor: ProgressMonitor
) -> dict[str, object]:
    """Segment from files to a written label map."""
    monitor.step("Planning nnU-Net's network")
    images = sorted(str(path) for path in config.case.glob("*.nii.gz"))
    plans, dataset = _plans(ensure_writable_folder(config.folder / "nnunet"), images)
    start, clock = seconds_since_start(), StageTimer()
    folder = ensure_writable_folder(config.result(f"nnunet {mirror}"))
    predictor, configuration = _predictor(plans, dataset, mirror)
    monitor.step("Timing one tile of nnU-Net")
    each, passes = _one_pass(predictor), _passes(config, configuration.patch_size, mirror)
    if each * passes > _MAX_SECONDS:
        return {
            "seconds": {"total": round(each * passes, 1)},
            "estimate": f"one tile timed ({each:.1f} s), times {passes}",
            **_description(start, configuration),
        }
    monitor.step(f"Segmenting with nnU-Net, {passes} passes")
    with clock.stage("segment"):
        predictor.predict_from_files_sequential([images], [str(folder / "segmentation")])
    return {"seconds": clock.seconds, "passes": passes, **_description(start, configuration)}


def _description(start: float, configuration: Any) -> dict[str, object]:
    return {
        "start": start,
        "peak_memory_mib": round(peak_memory_mib(), 1),
        "precision": "float32" if choose_device().type == "cpu" else "float16",
        "patch": list(configuration.patch_size),
    }


def _one_pass(predictor: Any) -> float:
    """Return the time of the network for one tile, in seconds."""
    shape = predictor.configuration_manager.patch_size
    channels = len(predictor.dataset_json["channel_names"])
    tile = torch.randn(1, channels, *shape, device=predictor.device)
    network = predictor.network.to(predictor.device).eval()
    start = time.perf_counter()
    with torch.inference_mode():
        network(tile)[0].sum().item()  # waits for a graphics card
    return time.perf_counter() - start


def _passes(config: BenchConfig, patch: Sequence[int], mirror: bool) -> int:
    """Return the number of network passes over all tiles, mirrored or not."""
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    brain = (edge - 2 * MARGIN for edge in config.extent.box)
    volume = tuple(max(edge, tile) for edge, tile in zip(brain, patch, strict=True))
    steps = compute_steps_for_sliding_window(volume, tuple(patch), _STEP)
    return math.prod(len(axis) for axis in steps) * (8 if mirror else 1)


def _plans(folder: Path, images: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run nnU-Net's planner for a data set like BraTS; return its plans and ``dataset.json``."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(ensure_writable_folder(folder / name))
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
        ExperimentPlanner,
    )

    modalities = PRESETS["brats2020"].input_modalities
    channels = {str(k): name for k, name in enumerate(modalities)}
    dataset = {
        "channel_names": channels,
        "labels": {"background": 0, "edema": 1, "core": 2, "enhancing": 3},
        "numTraining": _CASES,
        "file_ending": ".nii.gz",
        "dataset": {"case": {"images": images, "label": images[0]}},
    }
    fingerprint = {
        "spacings": [[1.0, 1.0, 1.0]],
        "shapes_after_crop": [[edge - 2 * MARGIN for edge in BRATS.box]],
        "median_relative_size_after_cropping": 0.4,
        "foreground_intensity_properties_per_channel": {channel: {} for channel in channels},
    }
    for name, content in {
        f"raw/{_DATASET}/dataset.json": dataset,
        f"preprocessed/{_DATASET}/dataset_fingerprint.json": fingerprint,
    }.items():
        ensure_writable_folder((folder / name).parent)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    planner = ExperimentPlanner(_DATASET)
    planner.plan_experiment()
    plans = folder / "preprocessed" / _DATASET / f"{planner.plans_identifier}.json"
    return json.loads(plans.read_text(encoding="utf-8")), dataset


def _predictor(plans: dict[str, Any], dataset: dict[str, Any], mirror: bool) -> tuple[Any, Any]:
    """Return the initialised predictor and its configuration."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    torch.manual_seed(0)
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        len(dataset["channel_names"]),
        manager.get_label_manager(dataset).num_segmentation_heads,
        deep_supervision=False,
    )
    predictor = nnUNetPredictor(
        tile_step_size=_STEP, use_mirroring=mirror, device=choose_device(), allow_tqdm=False
    )
    axes = (0, 1, 2) if mirror else None
    weights = [network.state_dict()]
    predictor.manual_initialization(
        network, manager, configuration, weights, dataset, "nnUNetTrainer", axes
    )
    return predictor, configuration

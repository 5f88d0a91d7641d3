"""nnU-Net v2's own predictor with its default 3-D full-resolution network and random weights.

Its own planner draws up the network, from the fingerprint of a data set like BraTS; its own
predictor reads, normalises, crops, predicts and writes. Where that would take very long, one tile
is timed and multiplied by the passes it would make; reading and writing then do not count.
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
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.clock import StageTimer, seconds_since_start
from napari_ciml.research.bench.config import BRATS, MARGIN, BenchConfig

_DATASET = "Dataset001_Bench"
_CASES = 369
"""Training cases of BraTS 2020."""
_STEP = 0.5
_LONG = 600.0
"""Seconds from which on one tile is timed, and multiplied."""


def without_mirroring(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment each tile once."""
    return segment_with_nnunet(setup, False, monitor)


def with_mirroring(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment each tile eight times, mirrored along every axis: the default."""
    return segment_with_nnunet(setup, True, monitor)


def segment_with_nnunet(
    setup: BenchConfig, mirror: bool, monitor: ProgressMonitor
) -> dict[str, object]:
    """Segment from files to a written label map."""
    monitor.step("Planning nnU-Net's network")
    images = sorted(str(path) for path in setup.case.glob("*.nii.gz"))
    plans, dataset = _plans(ensure_writable_folder(setup.folder / "nnunet"), images)
    start, clock = seconds_since_start(), StageTimer()
    folder = ensure_writable_folder(setup.result(f"nnunet {mirror}"))
    predictor, configuration = _predictor(plans, dataset, mirror)
    monitor.step("Timing one tile of nnU-Net")
    each, passes = _one_pass(predictor), _passes(setup, configuration.patch_size, mirror)
    if each * passes > _LONG:
        return {
            "seconds": {"total": round(each * passes, 1)},
            "estimate": f"one tile timed ({each:.1f} s), times {passes}",
            **_about(start, configuration),
        }
    monitor.step(f"Segmenting with nnU-Net, {passes} passes")
    with clock.stage("segment"):
        predictor.predict_from_files_sequential([images], [str(folder / "segmentation")])
    return {"seconds": clock.seconds, "passes": passes, **_about(start, configuration)}


def _about(start: float, configuration: Any) -> dict[str, object]:
    return {
        "start": start,
        "peak_memory_mib": round(peak_memory_mib(), 1),
        "precision": "float32" if choose_device().type == "cpu" else "float16",
        "patch": list(configuration.patch_size),
    }


def _one_pass(predictor: Any) -> float:
    """Return the seconds that the network takes over one tile."""
    shape = predictor.configuration_manager.patch_size
    channels = len(predictor.dataset_json["channel_names"])
    tile = torch.randn(1, channels, *shape, device=predictor.device)
    network = predictor.network.to(predictor.device).eval()
    start = time.perf_counter()
    with torch.inference_mode():
        network(tile)[0].sum().item()  # a graphics card is waited for
    return time.perf_counter() - start


def _passes(setup: BenchConfig, patch: Sequence[int], mirror: bool) -> int:
    """Return how often the network runs: every tile, and every tile mirrored."""
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    brain = (edge - 2 * MARGIN for edge in setup.extent.box)
    volume = tuple(max(edge, tile) for edge, tile in zip(brain, patch, strict=True))
    steps = compute_steps_for_sliding_window(volume, tuple(patch), _STEP)
    return math.prod(len(axis) for axis in steps) * (8 if mirror else 1)


def _plans(folder: Path, images: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let nnU-Net plan for a data set like BraTS; return its plans and its ``dataset.json``."""
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
    """Return the predictor, ready, and the configuration it runs."""
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

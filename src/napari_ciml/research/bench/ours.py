"""Measure napari-ciml through its public functions: segmentation, maps, what-if, growth."""

from pathlib import Path
from typing import NamedTuple

from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.explanation.explain import explain
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, half_precision, peak_memory_mib
from napari_ciml.inference.engines.openvino.engine import compiled_engine
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.clock import StageTimer, seconds_since_start
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.research.bench.peak import network_gflop


class BenchRun(NamedTuple):
    """A run from files to a written label map."""

    case: Case
    checkpoint: Checkpoint
    segmentation: Segmentation
    seconds: dict[str, float]


def cold(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment in a new process with an empty compilation cache."""
    return _first(config, monitor)[1]


def warm(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment in a new process with a filled compilation cache; then measure everything else.

    The label map is the one that the others are compared with.
    """
    run, result = _first(config, monitor)
    clock = StageTimer()
    with clock.stage("maps"):
        explanation = explain(run.case, run.checkpoint, run.segmentation, monitor)
        shapes = [zeta.shape for zeta in explanation.maps.values()]  # which resamples them
    result["maps"] = {
        "count": len(shapes),
        "seconds": clock.seconds["maps"],
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }
    result["whatif"] = _what_if(run, monitor)
    result["again"] = _again(config, "again", "auto", monitor)
    result["growth"] = [_segment_grown(config, name, monitor) for name in config.growth]
    return result


def plain_torch(config: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment with PyTorch, for machines on which another engine is the fastest."""
    _, result = _first(config, monitor, "torch", "torch")
    result["again"] = _again(config, "torch", "torch", monitor)
    return result


def run_once(
    case_folder: Path,
    config: BenchConfig,
    name: str,
    monitor: ProgressMonitor,
    engine: str = "auto",
) -> BenchRun:
    """Read the case, load the checkpoint, segment, and write the label map."""
    folder, clock = ensure_writable_folder(config.result(name)), StageTimer()
    with clock.stage("read"):
        case = open_case(case_folder, monitor=monitor)
    with clock.stage("load"):
        checkpoint = load_checkpoint(config.checkpoint)
    with clock.stage("segment"):
        segmentation = segment(
            case, checkpoint, settings=SegmentSettings(engine=engine), monitor=monitor
        )
    with clock.stage("write"):
        write_on_native_grid(folder / "segmentation.nii.gz", segmentation.label_map, case)
    return BenchRun(case, checkpoint, segmentation, clock.seconds)


def _again(
    config: BenchConfig, name: str, engine: str, monitor: ProgressMonitor
) -> dict[str, object]:
    run = run_once(config.case, config, name, monitor, engine)
    return {"seconds": run.seconds, "stages": run.segmentation.seconds}


def _first(
    config: BenchConfig, monitor: ProgressMonitor, name: str = "ours", engine: str = "auto"
) -> tuple[BenchRun, dict[str, object]]:
    start = seconds_since_start()
    run = run_once(config.case, config, name, monitor, engine)
    peak = round(peak_memory_mib(), 1)
    info, segmentation = run.checkpoint.info, run.segmentation
    shape = segmentation.model_input.foreground.shape
    tiling = segmentation.cache.runtime.tiling
    gflop = network_gflop(info.decomposition, info.network, (shape[0], shape[1], shape[2]))
    return run, {
        "start": start,
        "seconds": run.seconds,
        "stages": segmentation.seconds,
        "peak_memory_mib": peak,
        "engine": segmentation.engine,
        "precision": _precision(run),
        "tiles": len(tiling),
        "tile": list(tiling.tile),
        "kept_mib": _cache_mib(segmentation),
        "network_gflop": round(gflop, 2),
        "foreground": list(shape),
        "volumes_ml": segmentation.volumes_ml,
        "notices": list(segmentation.notices),
    }


def _what_if(run: BenchRun, monitor: ProgressMonitor) -> dict[str, object]:
    """Time a run with one message muted, and with another threshold, after a full run."""
    message = run.checkpoint.info.decomposition.messages[0]
    region = run.checkpoint.info.decomposition.region_names[0]
    clock = StageTimer()
    for name, settings in {
        "muted": SegmentSettings(muted=frozenset({message})),
        "threshold": SegmentSettings(thresholds={region: 0.4}),
    }.items():
        with clock.stage(name):
            segment(
                run.case,
                run.checkpoint,
                settings=settings,
                monitor=monitor,
                previous=run.segmentation,
            )
    return {
        "message": f"{message.primary}:{message.auxiliary}",
        "seconds": clock.seconds["muted"],
        "seconds_threshold": clock.seconds["threshold"],
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }


def _segment_grown(config: BenchConfig, name: str, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment a volume of growing size twice; the second time nothing is compiled."""
    voxels = 1
    for edge in config.growth[name].shape:
        voxels *= edge
    for _ in range(2):
        run = run_once(config.folder / name, config, name, monitor)
    return {"size": name, "voxels": voxels, "seconds": run.seconds["total"]}


def _cache_mib(segmentation: Segmentation) -> dict[str, float]:
    """Return the size of what a run caches for the next run and for the maps."""
    cache = segmentation.cache
    sizes = {
        "messages": cache.messages_bytes,
        "states": cache.states_bytes,
        "answers": cache.probabilities_bytes,
    }
    return {name: round(size / 2**20, 1) for name, size in sizes.items()}


def _precision(run: BenchRun) -> str:
    """Return the precision of the engine that ran."""
    runtime = run.segmentation.cache.runtime
    if runtime.engine == "openvino":
        return compiled_engine(run.checkpoint, runtime.tiling.tile).precision
    half = half_precision(choose_device(runtime.device.type))
    return "float32" if half is None else str(half).removeprefix("torch.")

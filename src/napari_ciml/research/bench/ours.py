"""Our own segmentation, its maps, what-if, and how it grows, by the calls that everybody uses."""

from pathlib import Path
from typing import NamedTuple

from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.explanation.explain import explain
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, half_precision
from napari_ciml.inference.engines.openvino.engine import compiled_engine
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.clock import StageTimer, seconds_since_start
from napari_ciml.research.bench.config import BenchConfig
from napari_ciml.research.bench.peak import network_gflop


class BenchRun(NamedTuple):
    """One run from files to a written label map."""

    case: Case
    checkpoint: Checkpoint
    segmentation: Segmentation
    seconds: dict[str, float]


def cold(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment in a new process, with nothing compiled kept from before."""
    return _first(setup, monitor)[1]


def warm(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment in a new process that finds what an earlier one has compiled; then everything else.

    The label map is what the others are compared with.
    """
    run, found = _first(setup, monitor)
    clock = StageTimer()
    with clock.stage("maps"):
        explanation = explain(run.case, run.checkpoint, run.segmentation, monitor)
        placed = [zeta.shape for zeta in explanation.maps.values()]
    found["maps"] = {
        "count": len(placed),
        "seconds": clock.seconds["maps"],
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }
    found["whatif"] = _what_if(run, monitor)
    found["again"] = _again(setup, "again", "auto", monitor)
    found["growth"] = [_grown(setup, name, monitor) for name in setup.growth]
    return found


def plain_torch(setup: BenchConfig, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment with PyTorch, where another engine is the fastest."""
    _, found = _first(setup, monitor, "torch", "torch")
    found["again"] = _again(setup, "torch", "torch", monitor)
    return found


def run_once(
    case_folder: Path, setup: BenchConfig, name: str, monitor: ProgressMonitor, engine: str = "auto"
) -> BenchRun:
    """Read, load, segment, write the label map."""
    folder, clock = ensure_writable_folder(setup.result(name)), StageTimer()
    with clock.stage("read"):
        case = open_case(case_folder, monitor=monitor)
    with clock.stage("load"):
        checkpoint = load_checkpoint(setup.checkpoint)
    with clock.stage("segment"):
        segmentation = segment(
            case, checkpoint, settings=SegmentSettings(engine=engine), monitor=monitor
        )
    with clock.stage("write"):
        write_on_native_grid(folder / "segmentation.nii.gz", segmentation.label_map, case)
    return BenchRun(case, checkpoint, segmentation, clock.seconds)


def _again(
    setup: BenchConfig, name: str, engine: str, monitor: ProgressMonitor
) -> dict[str, object]:
    run = run_once(setup.case, setup, name, monitor, engine)
    return {"seconds": run.seconds, "stages": run.segmentation.seconds}


def _first(
    setup: BenchConfig, monitor: ProgressMonitor, name: str = "ours", engine: str = "auto"
) -> tuple[BenchRun, dict[str, object]]:
    start = seconds_since_start()
    run = run_once(setup.case, setup, name, monitor, engine)
    peak = round(peak_memory_mib(), 1)
    info, result = run.checkpoint.info, run.segmentation
    shape = result.model_input.foreground.shape
    gflop = network_gflop(info.decomposition, info.network, (shape[0], shape[1], shape[2]))
    return run, {
        "start": start,
        "seconds": run.seconds,
        "stages": result.seconds,
        "peak_memory_mib": peak,
        "engine": result.engine,
        "precision": _precision(run),
        "tiles": len(result.cache.workspace.tiling),
        "tile": list(result.cache.workspace.tiling.tile),
        "kept_mib": _kept_mib(result),
        "network_gflop": round(gflop, 2),
        "foreground": list(shape),
        "volumes_ml": result.volumes_ml,
        "notices": list(result.notices),
    }


def _what_if(run: BenchRun, monitor: ProgressMonitor) -> dict[str, object]:
    """Mute one message, and move one threshold, of what has just been segmented."""
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


def _grown(setup: BenchConfig, name: str, monitor: ProgressMonitor) -> dict[str, object]:
    """Segment a volume of the growth twice; the second time nothing has to be compiled."""
    voxels = 1
    for edge in setup.growth[name].shape:
        voxels *= edge
    for _ in range(2):
        run = run_once(setup.folder / name, setup, name, monitor)
    return {"size": name, "voxels": voxels, "seconds": run.seconds["total"]}


def _kept_mib(result: Segmentation) -> dict[str, float]:
    """Return what a run keeps for the next one and for the maps, on the case as it is."""
    kept = result.cache
    sizes = {
        "messages": kept.messages_bytes,
        "states": kept.states_bytes,
        "answers": kept.answers_bytes,
    }
    return {name: round(size / 2**20, 1) for name, size in sizes.items()}


def _precision(run: BenchRun) -> str:
    """Return what the engine that ran computes in."""
    where = run.segmentation.cache.workspace
    if where.engine == "openvino":
        return compiled_engine(run.checkpoint, where.tiling.tile).precision
    half = half_precision(choose_device(where.device.type))
    return "float32" if half is None else str(half).removeprefix("torch.")

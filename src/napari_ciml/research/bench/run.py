"""A run of the benchmark: all contenders, one after the other."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from napari_ciml.cases.writing import read_labels
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BRATS, QUARTER, BenchConfig, cube
from napari_ciml.research.bench.processes import Answer, display, run_contender
from napari_ciml.research.bench.report import BenchResults, dice_by_region

PARTS = ("torch", "monai", "gradcam", "nnunet", "window")
"""Parts that can be left out."""

MINUTES = 35.0
"""Time limit of the reference contenders; ours are never terminated."""

_DESCRIPTIONS = {
    "prepare": "cases, network, matrix products",
    "cold": "napari-ciml, nothing compiled before",
    "warm": "napari-ciml again, its maps, its growth",
    "window": "napari-ciml in its window",
    "torch": "napari-ciml with PyTorch alone",
    "monai 0.5": "MONAI's sliding window, overlap 0.5",
    "nnunet": "nnU-Net without mirroring",
    "nnunet mirrored": "nnU-Net with mirroring",
    "gradcam": "MONAI's Grad-CAM, pair by pair",
    "monai 0.25": "MONAI's sliding window, overlap 0.25",
}
"""Contenders in the order they run, the most important ones first."""
_REQUIRED = ("prepare", "cold", "warm")
_SLOW = ("torch", "gradcam", "monai 0.25", "nnunet", "nnunet mirrored")
"""Contenders that a quick run leaves out."""


def run_bench(
    monitor: ProgressMonitor,
    *,
    quick: bool = False,
    base_filters: int = 32,
    edge: int | None = None,
    skip: Collection[str] = (),
    minutes: float = MINUTES,
    save: Callable[[BenchResults], None] = lambda _: None,
) -> BenchResults:
    """Measure all contenders, one after the other.

    Parameters
    ----------
    monitor : ProgressMonitor
        Receives a notice of each contender, and every step.
    quick : bool
        Use a quarter of the volume, and leave out the slowest parts or measure them in part.
    base_filters : int
        C of the network.
    edge : int, optional
        Edge in voxels of a cubic volume to use instead.
    skip : collection of str
        Parts of `PARTS` to leave out.
    minutes : float
        Time limit of the run, after which the slower contenders are terminated.
    save : callable
        Called with the results so far after every contender.

    Raises
    ------
    CimlError
        If the case or the network cannot be made, or our own segmentation fails.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    extent = cube(edge) if edge is not None else QUARTER if quick else BRATS
    with tempfile.TemporaryDirectory(prefix="ciml-bench-") as folder:
        config = BenchConfig(
            folder=Path(folder), extent=extent, base_filters=base_filters, quick=quick
        )
        machine, deadline = _machine(), time.monotonic() + 60 * minutes
        answers = dict.fromkeys(_DESCRIPTIONS, Answer(None, "the run ended before"))
        for name in _DESCRIPTIONS:
            if name == "torch" and _engine(answers["warm"]) == "torch":
                answers[name] = Answer(None, "ours ran in PyTorch: see above")
                continue
            answers[name] = _measure(name, config, skip, monitor, deadline)
            results = _results(config, machine, answers)
            save(results)
        return results


def _results(
    config: BenchConfig, machine: Mapping[str, object], answers: Mapping[str, Answer]
) -> BenchResults:
    return BenchResults(
        config=config,
        machine=machine,
        results={name: a.result for name, a in answers.items() if a.result is not None},
        missing={name: a.reason for name, a in answers.items() if a.result is None},
        dice=_agreement(config),
    )


def _engine(answer: Answer) -> object:
    return (answer.result or {}).get("engine")


def _measure(
    name: str,
    config: BenchConfig,
    skip: Collection[str],
    monitor: ProgressMonitor,
    deadline: float,
) -> Answer:
    """Run a contender until it or the time ends, or return why it does not run."""
    prefix = display() if name == "window" else ()
    if name.split()[0] in skip:
        return Answer(None, "left out on request")
    if config.quick and name in _SLOW:
        return Answer(None, "left out of a quick run")
    if name.startswith("nnunet") and find_spec("nnunetv2") is None:
        return Answer(None, "nnunetv2 is not installed (pip install 'napari-ciml[bench]')")
    seconds = None if name in _REQUIRED else deadline - time.monotonic()
    if seconds is not None and seconds <= 0:
        return Answer(None, "the time is up (--minutes)")
    if prefix is None:
        return Answer(None, "there is no display, and no xvfb-run")
    description = _DESCRIPTIONS[name]
    monitor.notify(f"Measuring {description} ...")
    answer = run_contender(name, config, monitor, *prefix, seconds=seconds)
    if answer.result is None:
        if name in _REQUIRED:
            raise CimlError(f"bench: {description} {answer.reason}")
        monitor.notify(f"Not measured: {description} {answer.reason}")
    return answer


def _agreement(config: BenchConfig) -> dict[str, dict[str, float]]:
    """Return the Dice of our label map with each of MONAI's, by region."""
    regions = PRESETS["brats2020"].regions
    return {
        name: dice_by_region(theirs, ours, regions)
        for name, theirs, ours in _label_maps(config, "monai 0.5", "monai 0.25")
    }


def _label_maps(config: BenchConfig, *names: str) -> Iterator[tuple[str, Any, Any]]:
    our_path = config.result("ours") / "segmentation.nii.gz"
    if not our_path.is_file():
        return
    ours, _ = read_labels(our_path)
    for name in names:
        path = config.result(name) / "segmentation.nii.gz"
        if path.is_file():
            yield name, read_labels(path)[0], ours


def _machine() -> dict[str, object]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": psutil.cpu_count(logical=False),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": None if load is None else round(load, 2),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

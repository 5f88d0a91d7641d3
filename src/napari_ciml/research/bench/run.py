"""The whole run: who comes when, and what is left out."""

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
"""What can be left out."""

MINUTES = 35.0
"""After so many, contenders that still run are ended; ours are not."""

_WORDS = {
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
"""In the order they run, so that what matters most is there if time runs out."""
_NEEDED = ("prepare", "cold", "warm")
_SLOW = ("torch", "gradcam", "monai 0.25", "nnunet", "nnunet mirrored")
"""Left out of a quick run."""


def run_bench(
    monitor: ProgressMonitor,
    *,
    quick: bool = False,
    base_filters: int = 32,
    edge: int | None = None,
    skip: Collection[str] = (),
    minutes: float = MINUTES,
    keep: Callable[[BenchResults], None] = lambda _: None,
) -> BenchResults:
    """Measure everything, one contender after the other.

    Parameters
    ----------
    monitor : Monitor
        Told what begins and what could not be measured; hears every step.
    quick : bool
        A quarter of the volume, the slowest parts left out or timed in part.
    base_filters : int
        C of the network.
    edge : int, optional
        A cube of that many voxels instead.
    skip : collection of str
        Parts of `PARTS` to leave out.
    minutes : float
        How long all of it may take, before the slower contenders are ended.
    keep : callable
        Given what was found so far, after every contender.

    Raises
    ------
    CimlError
        If the case or the network cannot be made, or our own segmentation fails.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    extent = cube(edge) if edge is not None else QUARTER if quick else BRATS
    with tempfile.TemporaryDirectory(prefix="ciml-bench-") as folder:
        setup = BenchConfig(
            folder=Path(folder), extent=extent, base_filters=base_filters, quick=quick
        )
        machine, end = _machine(), time.monotonic() + 60 * minutes
        answers = dict.fromkeys(_WORDS, Answer(None, "the run ended before"))
        for name in _WORDS:
            if name == "torch" and _engine(answers["warm"]) == "torch":
                answers[name] = Answer(None, "ours ran in PyTorch: see above")
                continue
            answers[name] = _ask(name, setup, skip, monitor, end)
            found = _findings(setup, machine, answers)
            keep(found)
        return found


def _findings(
    setup: BenchConfig, machine: Mapping[str, object], answers: Mapping[str, Answer]
) -> BenchResults:
    return BenchResults(
        setup=setup,
        machine=machine,
        results={name: a.result for name, a in answers.items() if a.result is not None},
        missing={name: a.reason for name, a in answers.items() if a.result is None},
        dice=_agreement(setup),
    )


def _engine(answer: Answer) -> object:
    return (answer.result or {}).get("engine")


def _ask(
    name: str, setup: BenchConfig, skip: Collection[str], monitor: ProgressMonitor, end: float
) -> Answer:
    """Run a contender until it or the time ends, or say why it does not run."""
    before = display() if name == "window" else ()
    if name.split()[0] in skip:
        return Answer(None, "left out, as asked")
    if setup.quick and name in _SLOW:
        return Answer(None, "left out of a quick run")
    if name.startswith("nnunet") and find_spec("nnunetv2") is None:
        return Answer(None, "nnunetv2 is not installed (pip install 'napari-ciml[bench]')")
    left = None if name in _NEEDED else end - time.monotonic()
    if left is not None and left <= 0:
        return Answer(None, "no time was left (--minutes)")
    if before is None:
        return Answer(None, "there is no display, and no xvfb-run")
    monitor.notify(f"Measuring {_WORDS[name]} ...")
    answer = run_contender(name, setup, monitor, *before, seconds=left)
    if answer.result is None:
        if name in _NEEDED:
            raise CimlError(f"bench: {_WORDS[name]} {answer.reason}")
        monitor.notify(f"Not measured: {_WORDS[name]} {answer.reason}")
    return answer


def _agreement(setup: BenchConfig) -> dict[str, dict[str, float]]:
    """Return the Dice of our label map with each of MONAI's, by region."""
    regions = PRESETS["brats2020"].regions
    return {
        name: dice_by_region(theirs, ours, regions)
        for name, theirs, ours in _label_maps(setup, "monai 0.5", "monai 0.25")
    }


def _label_maps(setup: BenchConfig, *names: str) -> Iterator[tuple[str, Any, Any]]:
    mine = setup.result("ours") / "segmentation.nii.gz"
    if not mine.is_file():
        return
    ours, _ = read_labels(mine)
    for name in names:
        path = setup.result(name) / "segmentation.nii.gz"
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

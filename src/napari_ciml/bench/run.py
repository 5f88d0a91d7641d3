"""The whole run: who comes when, and what is left out."""

import os
import platform
import tempfile
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from napari_ciml.bench.processes import Answer, display, run_contender
from napari_ciml.bench.report import Findings, dice_by_region
from napari_ciml.bench.setup import BRATS, QUARTER, Setup, cube
from napari_ciml.cases.write import read_labels
from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.presets import PRESETS

PARTS = ("monai", "gradcam", "nnunet", "window")
"""What can be left out."""

_WORDS = {
    "prepare": "cases, network, matrix products",
    "cold": "napari-ciml, nothing compiled before",
    "warm": "napari-ciml again, its maps, its growth",
    "monai 0.5": "MONAI's sliding window, overlap 0.5",
    "monai 0.25": "MONAI's sliding window, overlap 0.25",
    "gradcam": "MONAI's Grad-CAM, pair by pair",
    "nnunet": "nnU-Net without mirroring",
    "nnunet mirrored": "nnU-Net with mirroring",
    "window": "napari-ciml in its window",
}
_SLOW = ("monai 0.25", "nnunet mirrored")
"""Left out of a quick run."""


def run_bench(
    monitor: Monitor,
    *,
    quick: bool = False,
    base_filters: int = 32,
    edge: int | None = None,
    skip: Collection[str] = (),
) -> Findings:
    """Measure everything, one contender after the other.

    Parameters
    ----------
    monitor : Monitor
        Told what begins and what could not be measured; hears every step.
    quick : bool
        A quarter of the volume, the slowest parts left out.
    base_filters : int
        C of the network.
    edge : int, optional
        A cube of that many voxels instead.
    skip : collection of str
        Parts of `PARTS` to leave out.

    Raises
    ------
    CimlError
        If the case or the network cannot be made, or our own segmentation fails.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    extent = cube(edge) if edge is not None else QUARTER if quick else BRATS
    with tempfile.TemporaryDirectory(prefix="ciml-bench-") as folder:
        setup = Setup(folder=Path(folder), extent=extent, base_filters=base_filters, quick=quick)
        machine = _machine()
        answers = {name: _ask(name, setup, skip, monitor) for name in _WORDS}
        return Findings(
            setup=setup,
            machine=machine,
            results={name: a.result for name, a in answers.items() if a.result is not None},
            missing={name: a.reason for name, a in answers.items() if a.result is None},
            dice=_agreement(setup),
        )


def _ask(name: str, setup: Setup, skip: Collection[str], monitor: Monitor) -> Answer:
    """Run a contender, or say why it does not run."""
    before = display() if name == "window" else ()
    if name.split()[0] in skip:
        return Answer(None, "left out, as asked")
    if setup.quick and name in _SLOW:
        return Answer(None, "left out of a quick run")
    if name.startswith("nnunet") and find_spec("nnunetv2") is None:
        return Answer(None, "nnunetv2 is not installed (pip install 'napari-ciml[bench]')")
    if before is None:
        return Answer(None, "there is no display, and no xvfb-run")
    monitor.tell(f"Measuring {_WORDS[name]} ...")
    answer = run_contender(name, setup, monitor, *before)
    if answer.result is None:
        if name in ("prepare", "cold", "warm"):
            raise CimlError(f"bench: {_WORDS[name]} {answer.reason}")
        monitor.tell(f"Not measured: {_WORDS[name]} {answer.reason}")
    return answer


def _agreement(setup: Setup) -> dict[str, dict[str, float]]:
    """Return the Dice of our label map with each of MONAI's, by region."""
    regions = PRESETS["brats2020"].regions
    return {
        name: dice_by_region(theirs, ours, regions)
        for name, theirs, ours in _label_maps(setup, "monai 0.5", "monai 0.25")
    }


def _label_maps(setup: Setup, *names: str) -> Iterator[tuple[str, Any, Any]]:
    ours, _ = read_labels(setup.result("ours") / "segmentation.nii.gz")
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

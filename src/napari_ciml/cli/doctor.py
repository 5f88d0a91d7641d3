"""Checks of this installation, with advice for what fails."""

import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from napari_ciml.errors import CimlError

_PACKAGES = ("napari-ciml", "torch", "napari", "SimpleITK", "numpy", "monai", "safetensors")
_BINDINGS = ("PyQt6", "PySide6", "PyQt5")


@dataclass(frozen=True)
class CheckResult:
    """Result of one check; ``required`` if segmentation fails without it."""

    name: str
    ok: bool
    detail: str
    required: bool = False


@dataclass(frozen=True)
class Report:
    """Results of all checks."""

    results: tuple[CheckResult, ...]

    @property
    def can_segment(self) -> bool:
        """Whether all required checks passed."""
        return all(result.ok for result in self.results if result.required)


def run_checks() -> Report:
    """Run all checks; nothing is changed, and no error is raised."""
    python = f"{platform.python_version()}, {platform.platform()}"
    return Report(
        (
            CheckResult("Python", ok=True, detail=python),
            *(_package(name) for name in _PACKAGES),
            _checked("devices", _devices, required=True),
            _checked("memory", _memory),
            _checked("engines", _engines),
            _binding(),
            _display(),
            _checked("manifest", _manifest),
            _checked("sample data", _samples),
            _checked("checkpoints", _checkpoints, required=True),
        )
    )


def render(report: Report) -> str:
    """Return the report as lines of text."""
    width = max(len(result.name) for result in report.results)
    return "\n".join(
        f"{'ok' if result.ok else '!!'}  {result.name:<{width}}  {result.detail}"
        for result in report.results
    )


def _checked(name: str, check: Callable[[], str], *, required: bool = False) -> CheckResult:
    """Run a check that returns a detail; an error is a failed check."""
    try:
        return CheckResult(name, ok=True, detail=check(), required=required)
    except (CimlError, ImportError, OSError, RuntimeError, ValueError) as error:
        return CheckResult(name, ok=False, detail=" ".join(str(error).split()), required=required)


def _package(name: str) -> CheckResult:
    try:
        return CheckResult(name, ok=True, detail=version(name), required=True)
    except PackageNotFoundError:
        detail = f"missing; install it: pip install {name}"
        return CheckResult(name, ok=False, detail=detail, required=True)


def _devices() -> str:
    import torch

    from napari_ciml.inference.device import half_precision

    names = ["cpu"]
    if torch.cuda.is_available():
        names += [
            f"cuda ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        names.append("mps")
    half = half_precision(torch.device("cpu"))
    precision = "bfloat16" if half is not None else "float32"
    return f"{', '.join(names)}; {torch.get_num_threads()} threads, {precision} on the CPU"


def _engines() -> str:
    from napari_ciml.inference.device import choose_device, choose_engine, has_openvino

    engines = ["torch", *(["openvino"] if has_openvino() else [])]
    device = choose_device()
    advice = "" if has_openvino() else "; faster on the CPU: pip install 'napari-ciml[cpu]'"
    return f"{', '.join(engines)}; auto takes {choose_engine('auto', device)} on {device}{advice}"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"


def _binding() -> CheckResult:
    installed = [name for name in _BINDINGS if importlib.util.find_spec(name)]
    advice = "missing, so no window; pip install 'napari-ciml[all]'"
    return CheckResult("Qt", ok=bool(installed), detail=", ".join(installed) or advice)


def _display() -> CheckResult:
    available = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    missing = "none; demo and open can still save screenshots where xvfb is installed"
    return CheckResult("display", ok=available, detail="available" if available else missing)


def _manifest() -> str:
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    manifest = manager.get_manifest("napari-ciml")
    return f"{len(manifest.contributions.widgets or [])} dock widgets registered in napari"


def _samples() -> str:
    from napari_ciml.cases.discovery import discover_volumes
    from napari_ciml.paths import sample_data

    folders = sorted({path.parent for path in sample_data().rglob("*_seg.nii.gz")})
    return ", ".join(
        f"{folder.name} ({len(discover_volumes(folder).sources)} modalities)" for folder in folders
    )


def _checkpoints() -> str:
    from napari_ciml.inference.shipped_checkpoints import (
        bundled_checkpoints,
        find_bundled_checkpoint,
    )
    from napari_ciml.network.checkpoint_info import read_info

    find_bundled_checkpoint()
    return ", ".join(f"{path.name} ({read_info(path).name})" for path in bundled_checkpoints())

"""What works on this machine, and what to do about what does not."""

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
    """One thing looked at; ``needed`` if segmenting does not work without it."""

    name: str
    ok: bool
    detail: str
    needed: bool = False


@dataclass(frozen=True)
class Report:
    """Everything that was looked at."""

    findings: tuple[CheckResult, ...]

    @property
    def can_segment(self) -> bool:
        """Whether all that segmenting needs is there."""
        return all(finding.ok for finding in self.findings if finding.needed)


def run_checks() -> Report:
    """Look at everything; nothing is changed, and no error is raised."""
    found = [
        CheckResult("Python", ok=True, detail=f"{platform.python_version()}, {platform.platform()}")
    ]
    found += [_package(name) for name in _PACKAGES]
    found += [_guarded("devices", _devices, needed=True), _guarded("memory", _memory)]
    found.append(_guarded("engines", _engines))
    found += [_binding(), _display(), _guarded("manifest", _manifest)]
    found.append(_guarded("sample data", _samples))
    found.append(_guarded("checkpoints", _checkpoints, needed=True))
    return Report(tuple(found))


def render(found: Report) -> str:
    """Return the report as lines of text."""
    width = max(len(finding.name) for finding in found.findings)
    return "\n".join(
        f"{'ok' if f.ok else '!!'}  {f.name:<{width}}  {f.detail}" for f in found.findings
    )


def _guarded(name: str, look: Callable[[], str], *, needed: bool = False) -> CheckResult:
    try:
        return CheckResult(name, ok=True, detail=look(), needed=needed)
    except (CimlError, ImportError, OSError, RuntimeError, ValueError) as error:
        return CheckResult(name, ok=False, detail=" ".join(str(error).split()), needed=needed)


def _package(name: str) -> CheckResult:
    try:
        return CheckResult(name, ok=True, detail=version(name), needed=True)
    except PackageNotFoundError:
        detail = f"missing; install it: pip install {name}"
        return CheckResult(name, ok=False, detail=detail, needed=True)


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

    there = ["torch", *(["openvino"] if has_openvino() else [])]
    device = choose_device()
    advice = "" if has_openvino() else "; faster on the CPU: pip install 'napari-ciml[cpu]'"
    return f"{', '.join(there)}; auto takes {choose_engine('auto', device)} on {device}{advice}"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"


def _binding() -> CheckResult:
    there = [name for name in _BINDINGS if importlib.util.find_spec(name)]
    advice = "missing, so no window; pip install 'napari-ciml[all]'"
    return CheckResult("Qt", ok=bool(there), detail=", ".join(there) or advice)


def _display() -> CheckResult:
    there = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    detail = "there" if there else "none; demo and open still save pictures where xvfb is installed"
    return CheckResult("display", ok=there, detail=detail)


def _manifest() -> str:
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    manifest = manager.get_manifest("napari-ciml")
    return f"{len(manifest.contributions.widgets or [])} dock widgets known to napari"


def _samples() -> str:
    from napari_ciml.cases.discovery import discover_volumes
    from napari_ciml.paths import sample_data

    cases = sorted({path.parent for path in sample_data().rglob("*_seg.nii.gz")})
    counted = (
        f"{folder.name} ({len(discover_volumes(folder).sources)} modalities)" for folder in cases
    )
    return ", ".join(counted)


def _checkpoints() -> str:
    from napari_ciml.inference.shipped_checkpoints import (
        bundled_checkpoints,
        find_bundled_checkpoint,
    )
    from napari_ciml.network.checkpoint_info import read_info

    find_bundled_checkpoint()
    return ", ".join(f"{path.name} ({read_info(path).name})" for path in bundled_checkpoints())

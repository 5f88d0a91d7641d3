"""Choose device, engine and precision; query and free memory."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import psutil
import torch

from napari_ciml.errors import DeviceError
from napari_ciml.inference.settings import has_openvino as has_openvino

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
EngineName = Literal["torch", "openvino"]

_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "defaultcpuallocator", "bad_alloc")
"""Parts of the messages of CUDA, MPS, cuBLAS, cuDNN, the CPU allocator and OpenVINO."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``, or with ``auto`` the fastest one available.

    Raises
    ------
    DeviceError
        If the device is not available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((gpu for gpu, usable in available.items() if usable), "cpu"))
    if not available.get(name, name == "cpu"):
        raise DeviceError(f"Device '{name}' is not available here; use --device cpu or auto.")
    return torch.device(name)


def choose_engine(name: str, device: torch.device) -> EngineName:
    """Return the engine called ``name``, or with ``auto`` the fastest one for a device.

    Raises
    ------
    DeviceError
        If the engine is not installed, or does not run on the device.
    """
    if name == "torch" or (name == "auto" and (device.type != "cpu" or not has_openvino())):
        return "torch"
    if not has_openvino():
        raise DeviceError(
            "OpenVINO is not installed; pip install 'napari-ciml[cpu]', or use --engine torch."
        )
    if device.type != "cpu":
        raise DeviceError("OpenVINO runs on the CPU; use --device cpu, or --engine torch.")
    return "openvino"


def half_precision(device: torch.device) -> torch.dtype | None:
    """Return the half precision that makes this device faster, or None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "mps":
        return torch.float16
    # Without native bf16 instructions a CPU emulates them, which is slower than float32.
    cpu = torch.cpu
    return torch.bfloat16 if cpu._is_amx_tile_supported() or _has_avx512_bf16() else None


def _has_avx512_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported())


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return an autocast context if the device has a faster half precision, else a null context."""
    dtype = half_precision(device)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device's memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _OUT_OF_MEMORY)


def release(device: torch.device) -> None:
    """Free the memory that PyTorch's allocator caches on a device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_memory_mib() -> float:
    """Return the peak resident memory of this process so far, in MiB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 2**20)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / (2**20 if sys.platform == "darwin" else 2**10))

import pytest
import torch

from napari_ciml.errors import DeviceError
from napari_ciml.inference.device import (
    choose_device,
    half_precision,
    is_out_of_memory,
    mixed_precision,
    release,
)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000000 bytes. Error code 12"
        ),
    ],
)
def test_what_the_libraries_say_when_memory_is_full(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_this_machine_says_it_in_words_we_know() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        KeyError("FLAIR"),
    ],
)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def there(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)


@pytest.mark.parametrize(
    ("names", "chosen"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cpu",), "cpu")]
)
def test_auto_takes_the_fastest_there_is(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], chosen: str
) -> None:
    there(monkeypatch, *names)
    assert choose_device("auto").type == chosen
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", "", "cuda:1"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    there(monkeypatch)
    with pytest.raises(DeviceError, match=f"'{name}' is not available here") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_mixed_precision_is_what_the_device_gains_from(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    weights = torch.randn(8, 8)
    for gains, expected in ((torch.bfloat16, torch.bfloat16), (None, torch.float32)):
        monkeypatch.setattr("napari_ciml.inference.device.half_precision", lambda _, g=gains: g)
        with mixed_precision(cpu):
            assert (weights @ weights).dtype == expected


def test_the_processor_can_say_what_it_has() -> None:
    assert half_precision(torch.device("cpu")) in (None, torch.bfloat16)
    release(torch.device("cpu"))

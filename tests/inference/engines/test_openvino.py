"""The OpenVINO engine against float32 PyTorch, with the same weights."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
import SimpleITK as sitk
import torch

from helpers.checkpoints import tiny_info
from helpers.networks import BRATS, MIXED, images, network, settled
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.edits import restrict_to_modalities
from napari_ciml.decomposition.model import Decomposition, Message
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, DeviceError
from napari_ciml.explanation.explain import explain
from napari_ciml.inference.device import choose_engine, half_precision, has_openvino
from napari_ciml.inference.engines.openvino import conversion, engine
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor

CPU = torch.device("cpu")
NATIVE = half_precision(CPU)
"""Half precision of this processor; None where it would be emulated."""

TWO = PRESETS["flair-t1ce"]
ONE = restrict_to_modalities(BRATS, ("FLAIR",))
MUTED = frozenset({Message("FLAIR", "T1CE")})

pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def openvino_enabled(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Use OpenVINO, with one cache of converted networks for all tests."""
    folder = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setattr("napari_ciml.inference.device.has_openvino", lambda: True)
    monkeypatch.setattr(conversion, "cache_folder", lambda _: folder)


def precision(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype | None) -> None:
    for module in ("device", "engines.openvino.engine"):
        monkeypatch.setattr(f"napari_ciml.inference.{module}.half_precision", lambda _: dtype)


def small_checkpoint(
    tiny_checkpoint: Checkpoint, decomposition: Decomposition, norm: str = "instance"
) -> Checkpoint:
    """Return a checkpoint of fewer encoders and segmentors, which converts faster."""
    net = settled(norm, decomposition).requires_grad_(False)
    return replace(tiny_checkpoint, info=tiny_info(decomposition, norm=norm), network=net)


def difference(a: Segmentation, b: Segmentation) -> float:
    return max(
        float(np.abs(a.pair_probabilities[pair] - b.pair_probabilities[pair]).max())
        for pair in a.pair_probabilities
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 1e-3), (torch.bfloat16, 0.06)])
def test_answers_are_those_of_float32_pytorch(
    case_folder: Path,
    tiny_checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype | None,
    tolerance: float,
) -> None:
    """And what-if from the cache, muted by a mask in the same model.

    In the precisions that are used on this processor, the cache gives the result of a full run to
    the bit. Where bf16 is emulated, it is rounded where features are cached, and nowhere else.
    """
    case = open_case(case_folder)
    precision(monkeypatch, None)
    plain = segment(case, tiny_checkpoint, TWO, settings=SegmentSettings(engine="torch"))
    quiet = SegmentSettings(engine="torch", muted=MUTED)
    muted = segment(case, tiny_checkpoint, TWO, settings=quiet)
    precision(monkeypatch, dtype)
    fast = segment(case, tiny_checkpoint, TWO, settings=SegmentSettings(engine="openvino"))
    assert (fast.engine, plain.engine) == ("openvino", "torch")
    assert difference(fast, plain) < tolerance
    what_if = SegmentSettings(engine="openvino", muted=MUTED)
    after = segment(case, tiny_checkpoint, TWO, settings=what_if, previous=fast)
    assert difference(after, muted) < tolerance
    again = segment(case, tiny_checkpoint, TWO, settings=what_if)
    assert difference(after, again) <= (0 if dtype in (None, NATIVE) else 0.02)


@pytest.fixture(scope="module")
def trained() -> tuple[Case, Checkpoint, Segmentation]:
    """A tile of the sample case, the shipped checkpoint, what float32 PyTorch makes of them."""
    case, checkpoint = _tile(sample_data() / "glioma"), load_checkpoint(find_bundled_checkpoint())
    with pytest.MonkeyPatch.context() as patch:
        precision(patch, None)
        plain = segment(case, checkpoint, settings=SegmentSettings(engine="torch"))
    return case, checkpoint, plain


def _tile(folder: Path, edge: int = 48) -> Case:
    """Open a case, and cut a cube around its reference."""
    whole = open_case(folder)
    reference = sitk.ReadImage(str(next(folder.glob("*_seg.nii.gz"))))
    centre = np.argwhere(sitk.GetArrayFromImage(reference)).mean(axis=0).round().astype(int)
    first = np.clip(centre - edge // 2, 0, np.array(whole.grid.shape) - edge)
    cube = tuple(slice(start, start + edge) for start in first)
    grid = Grid((edge,) * 3, whole.grid.spacing, whole.grid.origin, whole.grid.direction)
    images = {name: np.ascontiguousarray(image[cube]) for name, image in whole.images.items()}
    return Case("cube", images, grid, whole.reference, grid, {})


@pytest.mark.parametrize(
    ("name", "dtype", "largest"),
    [
        ("torch", torch.bfloat16, 0.03),
        ("openvino", None, 1e-3),
        ("openvino", torch.bfloat16, 0.03),
    ],
)
def test_regions_are_those_of_float32_pytorch(
    trained: tuple[Case, Checkpoint, Segmentation],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    dtype: torch.dtype | None,
    largest: float,
) -> None:
    """Of a network that has learnt something: random weights leave regions to rounding."""
    case, checkpoint, plain = trained
    precision(monkeypatch, dtype)
    found = segment(case, checkpoint, settings=SegmentSettings(engine=name))
    assert 0 < difference(found, plain) < largest
    for region in plain.plan.decomposition.regions:
        masks = [np.isin(one.label_map, region.labels) for one in (found, plain)]
        assert masks[1].sum() > 500
        assert dice(*masks) >= 0.998


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_maps_begin_with_the_state_it_gives(
    case_folder: Path, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, norm: str
) -> None:
    checkpoint = small_checkpoint(tiny_checkpoint, TWO, norm)
    case, asked = open_case(case_folder), np.ones(open_case(case_folder).grid.size[::-1], bool)
    precision(monkeypatch, None)
    found = []
    for name in ("openvino", "torch"):
        result = segment(case, checkpoint, TWO, SegmentSettings(engine=name, muted=MUTED))
        ran: list[str] = []
        hooks = [
            encoder.register_forward_hook(lambda *_, ran=ran: ran.append("encoder"))
            for encoder in checkpoint.network.encoders.values()
        ]
        everywhere = dict.fromkeys(TWO.region_names, asked)
        found.append(explain(case, checkpoint, result, targets=everywhere))
        assert ran == []
        for hook in hooks:
            hook.remove()
    fast, plain = found
    assert fast.maps.keys() == plain.maps.keys()
    assert plain.scale > 0
    assert fast.scale == pytest.approx(plain.scale, rel=0.01)
    for triple in plain.maps:
        np.testing.assert_allclose(fast.maps[triple], plain.maps[triple], atol=0.01)


def test_models_are_cached_by_their_weights(
    case_folder: Path, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(conversion, "cache_folder", lambda _: tmp_path / "cache")
    engine._engines.clear()
    case, made = open_case(case_folder), []
    convert = conversion._convert
    monkeypatch.setattr(conversion, "_convert", lambda whole: made.append(whole) or convert(whole))
    settings = SegmentSettings(engine="openvino")
    checkpoint = small_checkpoint(tiny_checkpoint, ONE)
    before = segment(case, checkpoint, settings=settings)
    assert len(made) == 1
    files = sorted((tmp_path / "cache").iterdir())
    assert [path.suffix for path in files] == [".bin", ".sha256", ".xml"]
    engine._engines.clear()
    # Cut off by a crash: made again.
    files[2].write_text("<?xml")
    after = segment(case, checkpoint, settings=settings)
    assert len(made) == 2
    assert difference(after, before) == 0
    with torch.no_grad():
        checkpoint.network.encoders["FLAIR"].convs[0][0].weight.mul_(-1)
    assert difference(segment(case, checkpoint, settings=settings), before) > 0


def test_it_is_compiled_while_the_case_is_prepared(
    case_folder: Path, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_part, threads = engine.CompiledEngine._compile, []

    def compiled(self: engine.CompiledEngine, *given: object) -> object:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            raise RuntimeError("once")
        return compile_part(self, *given)

    monkeypatch.setattr(engine.CompiledEngine, "_compile", compiled)
    case, settings = open_case(case_folder), SegmentSettings(engine="openvino")
    checkpoint = small_checkpoint(tiny_checkpoint, TWO)
    engine._engines.clear()
    first = segment(case, checkpoint, settings=settings)
    assert [thread is threading.main_thread() for thread in threads] == [False, True]
    engine._engines.clear()
    again = segment(case, checkpoint, settings=settings)
    assert [thread is threading.main_thread() for thread in threads[2:]] == [False]
    assert difference(first, again) == 0


def test_networks_are_kept_beside_their_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "user")
    beside = conversion.cache_folder(tmp_path / "mine.safetensors")
    assert beside.parent == tmp_path / conversion.FOLDER
    shipped = conversion.cache_folder(sample_data() / "glioma.safetensors")
    assert shipped == tmp_path / "user" / "compiled" / beside.name
    monkeypatch.setattr("os.access", lambda *_: False)
    assert conversion.cache_folder(tmp_path / "mine.safetensors") == shipped


@pytest.mark.parametrize("suffix", [".bin", ".xml", ".sha256"])
def test_a_damaged_cached_network_is_converted_again(tmp_path: Path, suffix: str) -> None:
    net, monitor = network(ONE).eval(), ProgressMonitor()
    core, checkpoint = openvino.Core(), tmp_path / "mine.safetensors"
    conversion.convert_or_load(core, net, "key", checkpoint, monitor)
    folder = conversion.cache_folder(checkpoint)
    cached = {path.suffix: path.read_bytes() for path in folder.iterdir()}
    assert set(cached) == {".bin", ".xml", ".sha256"}
    content = cached[suffix]
    damaged = folder / f"key{suffix}"
    damaged.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    steps: list[str] = []
    loud = ProgressMonitor(report=lambda progress: steps.append(progress.stage))
    conversion.convert_or_load(core, net, "key", checkpoint, loud)
    assert len(steps) == 1
    assert (folder / "key.bin").read_bytes() == cached[".bin"]
    conversion.convert_or_load(core, net, "key", checkpoint, loud)
    assert len(steps) == 1


def test_networks_not_used_for_long_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_MAX_NETWORKS", 2)
    folder = tmp_path / "openvino-2"
    for age, place in enumerate((folder, folder, tmp_path / "openvino-1", folder)):
        place.mkdir(exist_ok=True)
        for suffix in (".bin", ".xml"):
            path = (place / f"net{age}").with_suffix(suffix)
            path.touch()
            os.utime(path, (1e9 - age, 1e9 - age))
    (folder / "torn.bin").touch()
    conversion._prune(folder)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["net0.bin", "net0.xml", "net1.bin", "net1.xml"]


def test_auto_takes_it_on_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_engine("auto", CPU) == "openvino"
    assert choose_engine("torch", CPU) == "torch"
    assert choose_engine("auto", torch.device("cuda")) == "torch"
    with pytest.raises(DeviceError, match="runs on the CPU"):
        choose_engine("openvino", torch.device("cuda"))
    assert has_openvino()
    monkeypatch.setattr("napari_ciml.inference.device.has_openvino", lambda: False)
    assert choose_engine("auto", CPU) == "torch"
    with pytest.raises(DeviceError, match="not installed"):
        choose_engine("openvino", CPU)


def compiled_run(
    net: CIML, seen: dict[str, torch.Tensor], monitor: ProgressMonitor | None = None
) -> dict[str, torch.Tensor]:
    tile = tuple(next(iter(seen.values())).shape[2:])
    info = tiny_info(net.decomposition)
    checkpoint = Checkpoint(Path("net.safetensors"), info, "", net)
    made = engine.CompiledEngine(checkpoint, tile, "f32", engine.weights_hash(net))
    found = made.run(seen, tuple(net.segmentors), (), {}, monitor or ProgressMonitor())
    return {name: logits for name, (logits, _) in found.outputs.items()}


def test_a_subtask_of_two_modalities_and_one_without_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Encoders of two channels, of nobody's primary, and a segmentor that hears nobody."""
    precision(monkeypatch, None)
    net, seen = network(MIXED).eval(), images(MIXED)
    found = compiled_run(net, seen)
    with torch.no_grad():
        expected = net(seen)
    assert found.keys() == expected.keys()
    for name, logits in found.items():
        torch.testing.assert_close(logits, expected[name].logits[0], atol=1e-3, rtol=1e-3)


def test_a_stop_is_heard_in_the_middle_of_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_POLL_MS", 0)
    net, seen = settled("batch", TWO), images(TWO, edge=64)
    monitor = ProgressMonitor()
    monitor.stop.set()
    with pytest.raises(CancelledError):
        compiled_run(net, seen, monitor)
    assert compiled_run(net, seen).keys() == set(net.segmentors)

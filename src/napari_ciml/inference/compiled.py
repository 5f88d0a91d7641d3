"""The OpenVINO engine: encoders and segmentors compiled for the processor, from the same weights.

Converted in memory at first use, and kept in the user's cache folder under the weights' hash. An
encoder gives its messages; a segmentor takes its image, its own levels and the messages, and one
switch for each message, so that muting needs no other model; it gives its logits, and the state
that the maps begin with. OpenVINO is imported here alone, late.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from napari_ciml.decomposition import Message
from napari_ciml.inference.device import half_precision
from napari_ciml.inference.tiles import SMALLEST_TILE, Shape
from napari_ciml.monitor import Monitor
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Embeddings, Encoder
from napari_ciml.network.last_level import State, last_blocks, measured
from napari_ciml.network.segmentor import Segmentor
from napari_ciml.network.settings import LEVELS

if TYPE_CHECKING:
    import openvino

_FORM = 2
"""Counts what compiled parts take and give; those of another form are not read."""

_ENGINES = 2
"""How many networks are held compiled."""

_held: dict[tuple[str, Shape, str], "CompiledEngine"] = {}


def compiled_engine(network: CIML, tile: Shape, monitor: Monitor) -> "CompiledEngine":
    """Return a network compiled for a tile; the last ones are held."""
    precision = "f32" if half_precision(torch.device("cpu")) is None else "bf16"
    key = (weights_hash(network), tile, precision)
    if key not in _held:
        made = CompiledEngine(network, tile, precision, key[0], monitor)
        while len(_held) >= _ENGINES:
            del _held[next(iter(_held))]
        _held[key] = made
    return _held[key]


def weights_hash(network: CIML) -> str:
    """Return the SHA-256 of a network's parts and weights, in hexadecimal."""
    found = hashlib.sha256(network.settings.model_dump_json().encode())
    found.update(network.decomposition.model_dump_json().encode())
    for name, value in network.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().data)
    return found.hexdigest()


class CompiledEngine:
    """A network in OpenVINO, for one shape of tile; parts are compiled when they are first run.

    Parameters
    ----------
    network : CIML
        In evaluation mode, on the CPU.
    tile : tuple of int
        (Z, Y, X).
    precision : {"f32", "bf16"}
        What it computes in; inputs and logits are float32.
    key : str
        Of the weights.
    monitor : Monitor
        Told when a part is converted.
    """

    def __init__(
        self, network: CIML, tile: Shape, precision: str, key: str, monitor: Monitor
    ) -> None:
        import openvino

        self._network = network
        self._tile = tile
        self._precision = precision
        self._key = key
        self._monitor = monitor
        self._core = openvino.Core()
        self._parts: dict[str, Any] = {}

    @property
    def precision(self) -> str:
        """What the compiled parts compute in, by their own account: ``float32`` or ``bfloat16``."""
        part = next(iter(self._parts.values()), None)
        said = self._precision if part is None else part.get_property("INFERENCE_PRECISION_HINT")
        name = said if isinstance(said, str) else said.to_string()
        return {"f32": "float32", "bf16": "bfloat16"}.get(name, name)

    def compile(self, subtasks: Collection[str], muted: Collection[Message]) -> None:
        """Compile all that the subtasks need, before anything is run."""
        for name in self._network.needed(subtasks, muted):
            self._encoding(name)
        for name in subtasks:
            self._segmenting(name)

    def encode(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message] = (),
        kept: Mapping[str, tuple[Tensor, ...]] | None = None,
    ) -> dict[str, Embeddings]:
        """As `CIML.encode`, but with messages alone: no embedding has a ``full``."""
        known = kept or {}
        encoded = {}
        for name in self._network.needed(subtasks, muted):
            levels = known.get(name)
            if levels is None:
                found = self._encoding(name)([self._image(name, images)])
                dtype = torch.bfloat16 if self._precision == "bf16" else torch.float32
                levels = tuple(
                    torch.from_numpy(found[k]).to(dtype, copy=True) for k in range(LEVELS)
                )
            encoded[name] = Embeddings(levels[0].new_empty(0), levels)
        return encoded

    def segment(
        self,
        subtask: str,
        images: Mapping[str, Tensor],
        encoded: Mapping[str, Embeddings],
        muted: Collection[Message],
    ) -> tuple[Tensor, State]:
        """Run a segmentor: (regions, Z, Y, X) float32, and its state."""
        names = self._network.segmentor(subtask).auxiliaries
        heard = [Message(subtask, name) not in muted for name in names]
        own = encoded[subtask].levels
        silent = tuple(torch.zeros_like(level) for level in own)
        messages = [
            encoded[name].levels if passed else silent
            for name, passed in zip(names, heard, strict=True)
        ]
        levels = [level.float().numpy() for part in (own, *messages) for level in part]
        switches = [np.array(heard, np.float32)] if names else []
        found = self._segmenting(subtask)([self._image(subtask, images), *switches, *levels])
        logits, deep, *rest = (torch.from_numpy(found[k].copy()) for k in range(len(found)))
        kept = dict(zip(names, rest, strict=False))
        numbers = rest[len(names) :]
        return logits[0], State(
            own=own[0],
            deep=deep.to(own[0].dtype),
            kappas={n: kept[n].to(own[0].dtype) for n, on in zip(names, heard, strict=True) if on},
            statistics=tuple(zip(numbers[::2], numbers[1::2], strict=True)),
        )

    def _image(self, name: str, images: Mapping[str, Tensor]) -> np.ndarray:
        return torch.cat([images[m] for m in self._network.inputs[name]], dim=1).float().numpy()

    def _encoding(self, name: str) -> Any:
        return self._part(f"encoder {name}", lambda: self._encoder(name))

    def _segmenting(self, subtask: str) -> Any:
        return self._part(f"segmentor {subtask}", lambda: self._segmentor(subtask))

    def _part(self, name: str, make: Any) -> Any:
        if name not in self._parts:
            self._parts[name] = self._compile(name, *make())
        return self._parts[name]

    def _encoder(self, name: str) -> tuple[nn.Module, list[Tensor]]:
        encoder = cast("Encoder", self._network.encoders[name])
        return _Messages(encoder), [torch.randn(1, len(self._network.inputs[name]), *_EXAMPLE)]

    def _segmentor(self, name: str) -> tuple[nn.Module, list[Tensor]]:
        segmentor = self._network.segmentor(name)
        encoder = cast("Encoder", self._network.encoders[name])
        image = torch.randn(1, len(self._network.inputs[name]), *_EXAMPLE)
        with torch.no_grad():
            levels = tuple(level.float() for level in encoder(image).levels)
        count = len(segmentor.auxiliaries)
        switches = [torch.ones(count)] if count else []
        return _Listening(encoder, segmentor), [image, *switches, *levels * (count + 1)]

    def _compile(self, name: str, module: nn.Module, example: list[Tensor]) -> Any:
        path = _cache_folder() / f"{self._key[:32]}_{name.replace(' ', '_')}.xml"
        model = _read(self._core, path)
        if model is None:
            self._monitor.step(f"Compiling the {name} (once for each checkpoint)")
            model = _convert(module, example)
            with suppress(OSError, RuntimeError):  # a cache that cannot be written only costs time
                _write(model, path)
        shapes = [self._shape(part) for part in example]
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        hints = {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(model, "CPU", hints)

    def _shape(self, part: Tensor) -> list[int]:
        if part.dim() == 1:
            return list(part.shape)
        shrink = SMALLEST_TILE // part.shape[2]
        return [*part.shape[:2], *(edge // shrink for edge in self._tile)]


_EXAMPLE = (SMALLEST_TILE,) * 3


class _Messages(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return cast("Embeddings", self.encoder(image)).levels


class _Listening(nn.Module):
    """A segmentor with a switch for each message; switched off, it is muted.

    A muted message has a zero pooled map and no kappa. A kappa is heard through its aligning
    convolution alone, so that is what the switch multiplies, beside the message.
    """

    def __init__(self, encoder: Encoder, segmentor: Segmentor) -> None:
        super().__init__()
        self.encoder = encoder
        self.segmentor = segmentor

    def forward(self, image: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        names = self.segmentor.auxiliaries
        heard, levels = (rest[0], rest[1:]) if names else (image, rest)
        messages, hooks = {}, []
        for k, name in enumerate(names):
            part = levels[LEVELS * (k + 1) : LEVELS * (k + 2)]
            messages[name] = tuple(level * heard[k] for level in part)
            hooks += [
                align.register_forward_hook(lambda _m, _i, out, k=k: out * heard[k])
                for align in self.segmentor.aligning(name)
            ]
        blocks = last_blocks(self.encoder, self.segmentor)
        try:
            with measured(blocks) as found:
                own = Embeddings(self.encoder.full(image), levels[:LEVELS])
                state = self.segmentor.filter(own, messages)
                logits = self.segmentor.predict(state)
            numbers = (number for block in blocks if found for number in found[block])
            return logits, state.deep, *(state.kappas[name] for name in names), *numbers
        finally:
            for hook in hooks:
                hook.remove()


def _convert(module: nn.Module, example: list[Tensor]) -> "openvino.Model":
    import warnings

    import openvino

    loose = [
        openvino.PartialShape([*e.shape[:2], -1, -1, -1] if e.dim() > 1 else list(e.shape))
        for e in example
    ]
    plain = torch.autocast("cpu", enabled=False)  # OpenVINO has its own
    with plain, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about Python branches on shapes
        return openvino.convert_model(
            module.eval(),
            example_input=tuple(example),
            input=[openvino.PartialShape(s) for s in loose],
        )


def _cache_folder() -> Path:
    import openvino

    version = openvino.__version__.split("-")[0]
    return user_cache_path("napari-ciml") / "compiled" / f"openvino-{version}-{_FORM}"


def _read(core: "openvino.Core", path: Path) -> "openvino.Model | None":
    try:
        return core.read_model(path) if path.is_file() else None
    except RuntimeError:  # cut off by a crash: it is made again
        return None


def _write(model: "openvino.Model", path: Path) -> None:
    """Write weights first, so that a model that is there is whole."""
    import openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        openvino.save_model(model, made, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            os.replace(made.with_suffix(suffix), path.with_suffix(suffix))

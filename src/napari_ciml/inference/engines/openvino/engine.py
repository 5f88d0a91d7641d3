"""A network compiled by OpenVINO for one tile shape."""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from napari_ciml.decomposition.model import Message
from napari_ciml.inference.device import half_precision
from napari_ciml.inference.engines.base import Levels, TileResult
from napari_ciml.inference.engines.openvino import graph
from napari_ciml.inference.tiles import Shape
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.last_level import ShallowState
from napari_ciml.network.settings import LEVELS
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    import openvino

_MAX_ENGINES = 2
"""Number of compiled networks that are kept in memory."""

_POLL_MS = 50
"""Interval at which a running inference checks for cancellation."""

_engines: dict[tuple[str, Shape, str], "CompiledEngine"] = {}

_Stamp = tuple[tuple[int, int], ...]
"""Address and version counter of every tensor of a network."""

_hashes: WeakKeyDictionary[CIML, tuple[_Stamp, str]] = WeakKeyDictionary()

_Part = tuple[tuple[str, ...], tuple[str, ...]]
"""Subtasks that are run, and encoders whose levels are inputs."""


def compiled_engine(checkpoint: Checkpoint, tile: Shape) -> "CompiledEngine":
    """Return a checkpoint's network compiled for a tile shape, from memory if possible."""
    precision = "f32" if half_precision(torch.device("cpu")) is None else "bf16"
    key = (weights_hash(checkpoint.network), tile, precision)
    if key not in _engines:
        engine = CompiledEngine(checkpoint, tile, precision, key[0])
        while len(_engines) >= _MAX_ENGINES:
            del _engines[next(iter(_engines))]
        _engines[key] = engine
    return _engines[key]


def weights_hash(network: CIML) -> str:
    """Return the SHA-256 of a network's architecture and weights, in hexadecimal.

    It is computed again only if a weight has changed.
    """
    stamp = tuple((value.data_ptr(), value._version) for value in network.state_dict().values())
    cached = _hashes.get(network)
    if cached is None or cached[0] != stamp:
        cached = stamp, _hash(network)
        _hashes[network] = cached
    return cached[1]


def _hash(network: CIML) -> str:
    digest = hashlib.sha256(network.settings.model_dump_json().encode())
    digest.update(network.decomposition.model_dump_json().encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


class CompiledEngine:
    """A network in OpenVINO for one tile shape; parts are compiled when they are first run.

    Without cached levels, all encoders and segmentors run as one model, which shares working memory
    and rounds no intermediate result. With cached levels, each segmentor is a model.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its network is in evaluation mode, on the CPU.
    tile : tuple of int
        Tile shape, (Z, Y, X).
    precision : {"f32", "bf16"}
        Precision of the computation; images and logits are float32.
    key : str
        Hash of the weights.
    """

    def __init__(self, checkpoint: Checkpoint, tile: Shape, precision: str, key: str) -> None:
        import openvino

        self._network = checkpoint.network
        self._checkpoint_path = checkpoint.path
        self._tile = tile
        self._precision = precision
        self._key = key
        self._core = openvino.Core()
        self._model: openvino.Model | None = None
        self._parts: dict[_Part, openvino.CompiledModel] = {}

    @property
    def precision(self) -> str:
        """Precision that the compiled parts report: ``float32`` or ``bfloat16``."""
        part = next(iter(self._parts.values()), None)
        hint = self._precision if part is None else part.get_property("INFERENCE_PRECISION_HINT")
        name = hint if isinstance(hint, str) else hint.to_string()
        return {"f32": "float32", "bf16": "bfloat16"}.get(name, name)

    def compile(
        self,
        subtasks: Collection[str],
        muted: Collection[Message],
        cached: Collection[str],
        monitor: ProgressMonitor,
    ) -> None:
        """Compile the parts that `run` is going to need.

        Parameters
        ----------
        subtasks, muted, monitor
            As in `run`.
        cached : collection of str
            Names of the encoders whose levels will be given.
        """
        for part in self._required_parts(subtasks, muted, cached):
            self._compiled(part, monitor)

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        cached: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """As `Engine.run`; can be cancelled in the middle of a tile."""
        levels: dict[str, Levels] = {}
        outputs: dict[str, tuple[Tensor, ShallowState]] = {}
        for part in self._required_parts(subtasks, muted, cached):
            inputs = self._inputs(part, images, muted, cached)
            results = _infer(self._compiled(part, monitor), inputs, monitor)
            for name in self._encoders_of(part):
                levels[name] = tuple(results[level] for level in graph.levels(name))
            for subtask in part[0]:
                own = levels.get(subtask) or cached[subtask]
                outputs[subtask] = self._output(subtask, results, own, muted)
        return TileResult(levels, outputs)

    def release(self) -> None:
        """As `Engine.release`."""
        for part in self._parts.values():
            part.release_memory()

    def _required_parts(
        self, subtasks: Collection[str], muted: Collection[Message], cached: Collection[str]
    ) -> list[_Part]:
        required = self._network.required_encoders(subtasks, muted)
        if set(required) <= set(cached):
            return [((name,), self._network.required_encoders((name,))) for name in subtasks]
        every = self._network.required_encoders(subtasks)
        return [(tuple(subtasks), tuple(name for name in every if name not in required))]

    def _encoders_of(self, part: _Part) -> tuple[str, ...]:
        """Return the encoders that a part runs."""
        subtasks, given = part
        return tuple(
            name for name in self._network.required_encoders(subtasks) if name not in given
        )

    def _inputs(
        self,
        part: _Part,
        images: Mapping[str, Tensor],
        muted: Collection[Message],
        cached: Mapping[str, Levels],
    ) -> dict[str, Tensor]:
        """Return a part's inputs by name."""
        subtasks, given = part
        inputs = {}
        for name in dict.fromkeys((*subtasks, *self._encoders_of(part))):
            image = torch.cat([images[m] for m in self._network.inputs[name]], dim=1)
            inputs[graph.image(name)] = image.float().contiguous()
        for name in subtasks:
            mask = [float(message not in muted) for message in self._messages(name)]
            if mask:
                inputs[graph.message_mask_input(name)] = torch.tensor(mask)
        for name in given:
            levels = cached.get(name) or self._zero_levels()
            inputs |= dict(zip(graph.levels(name), levels, strict=True))
        return inputs

    def _messages(self, subtask: str) -> list[Message]:
        return [Message(subtask, name) for name in self._network.segmentor(subtask).auxiliaries]

    def _zero_levels(self) -> Levels:
        """Return levels of zeros for an encoder whose messages are all muted."""
        base, dtype = self._network.settings.base_filters, _TYPES[self._precision]
        return tuple(
            torch.zeros(1, base << k, *(edge >> (k + 1) for edge in self._tile), dtype=dtype)
            for k in range(LEVELS)
        )

    def _output(
        self, subtask: str, results: Mapping[str, Tensor], own: Levels, muted: Collection[Message]
    ) -> tuple[Tensor, ShallowState]:
        """Return logits and state of a subtask from the results of a part."""
        logits, deep, *rest = (results[name] for name in graph.results(self._network, subtask))
        messages = self._messages(subtask)
        statistics = [value.flatten() for value in rest[len(messages) :]]
        return logits[0], ShallowState(
            own=own[0],
            deep=deep,
            kappas={m.auxiliary: k for m, k in zip(messages, rest, strict=False) if m not in muted},
            statistics=tuple(zip(statistics[::2], statistics[1::2], strict=True)),
        )

    def _compiled(self, part: _Part, monitor: ProgressMonitor) -> "openvino.CompiledModel":
        if part not in self._parts:
            self._parts[part] = self._compile(part, monitor)
        return self._parts[part]

    def _compile(self, part: _Part, monitor: ProgressMonitor) -> "openvino.CompiledModel":
        from napari_ciml.inference.engines.openvino import conversion

        if self._model is None:
            self._model = conversion.convert_or_load(
                self._core, self._network, self._key, self._checkpoint_path, monitor
            )
        model = conversion.extract_subgraph(self._model, self._network, *part)
        if self._precision == "bf16":
            model = conversion.in_half_precision(model)
        model.reshape({port: self._shape(port) for port in model.inputs})
        hints = {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(model, "CPU", hints)

    def _shape(self, port: "openvino.Output") -> list[int]:
        """Return the shape of an input for this tile."""
        shape, name = port.partial_shape, port.any_name
        if len(shape) == 1:
            return [shape[0].get_length()]
        halvings = int(name.split()[-1]) + 1 if name.startswith("level") else 0
        return [1, shape[1].get_length(), *(edge >> halvings for edge in self._tile)]


def _infer(
    model: "openvino.CompiledModel", inputs: Mapping[str, Tensor], monitor: ProgressMonitor
) -> dict[str, Tensor]:
    """Run a compiled model; return its outputs by name."""
    outputs = {
        port.any_name: torch.empty(tuple(port.shape), dtype=_TYPES[port.element_type.to_string()])
        for port in model.outputs
    }
    request = model.create_infer_request()
    for name, value in (dict(inputs) | outputs).items():
        request.set_tensor(name, _share_memory(value))
    request.start_async()
    while not request.wait_for(_POLL_MS):
        if monitor.stop.is_set():
            request.cancel()
            with suppress(RuntimeError):  # raised because it was cancelled
                request.wait()  # until nothing writes into the tensors any more
            monitor.raise_if_cancelled()
    return outputs


_TYPES = {
    "f32": torch.float32,
    "bf16": torch.bfloat16,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}
"""By OpenVINO's names, those of hints and those of element types."""


def _share_memory(values: Tensor) -> "openvino.Tensor":
    """Return an OpenVINO tensor over the same memory; numpy has no bf16."""
    import openvino

    if values.dtype == torch.bfloat16:
        shape = openvino.Shape(list(values.shape))
        return openvino.Tensor(values.view(torch.int16).numpy(), shape, openvino.Type.bf16)
    return openvino.Tensor(values.numpy(), shared_memory=True)

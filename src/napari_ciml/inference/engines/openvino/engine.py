"""A network compiled for one shape of tile."""

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

_ENGINES = 2
"""How many networks are held compiled."""

_LOOK_MS = 50
"""How often a run looks whether it should stop."""

_held: dict[tuple[str, Shape, str], "CompiledEngine"] = {}

_Stamp = tuple[tuple[int, int], ...]
"""Where each weight lies, and how often it was changed there."""

_hashes: WeakKeyDictionary[CIML, tuple[_Stamp, str]] = WeakKeyDictionary()

_Part = tuple[tuple[str, ...], tuple[str, ...]]
"""Subtasks that are run, encoders whose levels are given."""


def compiled_engine(checkpoint: Checkpoint, tile: Shape) -> "CompiledEngine":
    """Return a checkpoint's network compiled for a tile; the last ones are held."""
    precision = "f32" if half_precision(torch.device("cpu")) is None else "bf16"
    key = (weights_hash(checkpoint.network), tile, precision)
    if key not in _held:
        made = CompiledEngine(checkpoint, tile, precision, key[0])
        while len(_held) >= _ENGINES:
            del _held[next(iter(_held))]
        _held[key] = made
    return _held[key]


def weights_hash(network: CIML) -> str:
    """Return the SHA-256 of a network's parts and weights, in hexadecimal.

    It is not computed again as long as no weight has changed.
    """
    stamp = tuple((value.data_ptr(), value._version) for value in network.state_dict().values())
    known = _hashes.get(network)
    if known is None or known[0] != stamp:
        known = stamp, _hash(network)
        _hashes[network] = known
    return known[1]


def _hash(network: CIML) -> str:
    found = hashlib.sha256(network.settings.model_dump_json().encode())
    found.update(network.decomposition.model_dump_json().encode())
    for name, value in network.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().data)
    return found.hexdigest()


class CompiledEngine:
    """A network in OpenVINO, for one shape of tile; parts are compiled when they are first run.

    A tile of which nothing is kept runs encoders and segmentors as one model, which so shares its
    working memory and rounds nothing in between. From kept levels each segmentor is a model.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its network in evaluation mode, on the CPU.
    tile : tuple of int
        (Z, Y, X).
    precision : {"f32", "bf16"}
        What it computes in; images and logits are float32.
    key : str
        Of the weights.
    """

    def __init__(self, checkpoint: Checkpoint, tile: Shape, precision: str, key: str) -> None:
        import openvino

        self._network = checkpoint.network
        self._beside = checkpoint.path
        self._tile = tile
        self._precision = precision
        self._key = key
        self._core = openvino.Core()
        self._whole: openvino.Model | None = None
        self._parts: dict[_Part, openvino.CompiledModel] = {}

    @property
    def precision(self) -> str:
        """What the compiled parts compute in, by their own account: ``float32`` or ``bfloat16``."""
        part = next(iter(self._parts.values()), None)
        said = self._precision if part is None else part.get_property("INFERENCE_PRECISION_HINT")
        name = said if isinstance(said, str) else said.to_string()
        return {"f32": "float32", "bf16": "bfloat16"}.get(name, name)

    def compile(
        self,
        subtasks: Collection[str],
        muted: Collection[Message],
        known: Collection[str],
        monitor: ProgressMonitor,
    ) -> None:
        """Compile what `run` is going to need.

        Parameters
        ----------
        subtasks, muted, monitor
            As in `run`.
        known : collection of str
            Names of the encoders whose levels will be there.
        """
        for part in self._needed(subtasks, muted, known):
            self._part(part, monitor)

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        known: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """As `Engine.run`; a stop is heard in the middle of a tile."""
        levels: dict[str, Levels] = {}
        answers: dict[str, tuple[Tensor, ShallowState]] = {}
        for part in self._needed(subtasks, muted, known):
            found = self._infer(part, images, muted, known, monitor)
            for name in self._encoded(part):
                levels[name] = tuple(found[level] for level in graph.levels(name))
            for subtask in part[0]:
                own = levels.get(subtask) or known[subtask]
                answers[subtask] = self._answer(subtask, found, own, muted)
        return TileResult(levels, answers)

    def release(self) -> None:
        """As `Engine.release`."""
        for part in self._parts.values():
            part.release_memory()

    def _needed(
        self, subtasks: Collection[str], muted: Collection[Message], known: Collection[str]
    ) -> list[_Part]:
        needed = self._network.required_encoders(subtasks, muted)
        if set(needed) <= set(known):
            return [((name,), self._network.required_encoders((name,))) for name in subtasks]
        unheard = [name for name in self._network.required_encoders(subtasks) if name not in needed]
        return [(tuple(subtasks), tuple(unheard))]

    def _encoded(self, part: _Part) -> tuple[str, ...]:
        subtasks, given = part
        return tuple(
            name for name in self._network.required_encoders(subtasks) if name not in given
        )

    def _infer(
        self,
        part: _Part,
        images: Mapping[str, Tensor],
        muted: Collection[Message],
        known: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> dict[str, Tensor]:
        compiled = self._part(part, monitor)
        given = self._inputs(part, images, muted, known)
        made = {
            port.any_name: torch.empty(
                tuple(port.shape), dtype=_TYPES[port.element_type.to_string()]
            )
            for port in compiled.outputs
        }
        request = compiled.create_infer_request()
        for name, value in (given | made).items():
            request.set_tensor(name, _shared(value))
        request.start_async()
        while not request.wait_for(_LOOK_MS):
            if monitor.stop.is_set():
                request.cancel()
                with suppress(RuntimeError):  # says that it was cancelled
                    request.wait()  # until nothing writes into the tensors any more
                monitor.raise_if_cancelled()
        return made

    def _inputs(
        self,
        part: _Part,
        images: Mapping[str, Tensor],
        muted: Collection[Message],
        known: Mapping[str, Levels],
    ) -> dict[str, Tensor]:
        subtasks, given = part
        inputs = {}
        for name in dict.fromkeys((*subtasks, *self._encoded(part))):
            seen = torch.cat([images[m] for m in self._network.inputs[name]], dim=1)
            inputs[graph.image(name)] = seen.float().contiguous()
        for name in subtasks:
            heard = [float(m not in muted) for m in self._messages(name)]
            if heard:
                inputs[graph.message_mask_input(name)] = torch.tensor(heard)
        for name in given:
            there = known.get(name) or self._silence()
            inputs |= dict(zip(graph.levels(name), there, strict=True))
        return inputs

    def _messages(self, subtask: str) -> list[Message]:
        return [Message(subtask, name) for name in self._network.segmentor(subtask).auxiliaries]

    def _silence(self) -> Levels:
        """Return levels for an encoder that nobody hears."""
        base, dtype = self._network.settings.base_filters, _TYPES[self._precision]
        return tuple(
            torch.zeros(1, base << k, *(edge >> (k + 1) for edge in self._tile), dtype=dtype)
            for k in range(LEVELS)
        )

    def _answer(
        self, subtask: str, found: Mapping[str, Tensor], own: Levels, muted: Collection[Message]
    ) -> tuple[Tensor, ShallowState]:
        logits, deep, *rest = (found[name] for name in graph.results(self._network, subtask))
        messages = self._messages(subtask)
        numbers = [number.flatten() for number in rest[len(messages) :]]
        return logits[0], ShallowState(
            own=own[0],
            deep=deep,
            kappas={m.auxiliary: k for m, k in zip(messages, rest, strict=False) if m not in muted},
            statistics=tuple(zip(numbers[::2], numbers[1::2], strict=True)),
        )

    def _part(self, part: _Part, monitor: ProgressMonitor) -> "openvino.CompiledModel":
        if part not in self._parts:
            self._parts[part] = self._compile(part, monitor)
        return self._parts[part]

    def _compile(self, part: _Part, monitor: ProgressMonitor) -> "openvino.CompiledModel":
        from napari_ciml.inference.engines.openvino import conversion

        if self._whole is None:
            self._whole = conversion.convert_or_load(
                self._core, self._network, self._key, self._beside, monitor
            )
        model = conversion.extract_subgraph(self._whole, self._network, *part)
        if self._precision == "bf16":
            model = conversion.in_half_precision(model)
        model.reshape({port: self._shape(port) for port in model.inputs})
        hints = {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(model, "CPU", hints)

    def _shape(self, port: "openvino.Output") -> list[int]:
        shape, name = port.partial_shape, port.any_name
        if len(shape) == 1:
            return [shape[0].get_length()]
        halvings = int(name.split()[-1]) + 1 if name.startswith("level") else 0
        return [1, shape[1].get_length(), *(edge >> halvings for edge in self._tile)]


_TYPES = {
    "f32": torch.float32,
    "bf16": torch.bfloat16,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}
"""By what OpenVINO calls them, as hints and as types of tensors."""


def _shared(values: Tensor) -> "openvino.Tensor":
    """Return a tensor over the same memory; numpy knows no bf16."""
    import openvino

    if values.dtype == torch.bfloat16:
        shape = openvino.Shape(list(values.shape))
        return openvino.Tensor(values.view(torch.int16).numpy(), shape, openvino.Type.bf16)
    return openvino.Tensor(values.numpy(), shared_memory=True)

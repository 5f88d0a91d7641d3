"""Cache of a run, so that a what-if computes no more than what it changes.

Cached are the messages, that is the feature maps of every encoder from P/2 down, by tile and in the
precision of the run; the state of each segmentor at the shallowest gate, from which maps are
computed; and the probabilities of pairs, by the messages that their segmentor received. The
full-resolution embedding of an encoder is not cached: it is five sixths of the encoder's output and
costs a single convolution to compute again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from torch import Tensor

from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.engines.base import Levels
from napari_ciml.inference.multiscale import coarse_runtime
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tiles import Shape
from napari_ciml.network.last_level import ShallowState

MESSAGES_LIMIT = 2**30
"""Bytes of messages that are cached; further ones are computed again."""

STATES_LIMIT = 2**30
"""Bytes of segmentor states that are cached; further ones are computed again."""

PROBABILITIES_LIMIT = 2**29
"""Bytes of probabilities that are cached; beyond, the oldest are dropped."""

_PairKey = tuple[Pair, frozenset[str]]
"""A pair and the auxiliaries whose messages its segmentor received."""

_StateKey = tuple[int, str, frozenset[str]]
"""A tile, a subtask and the auxiliaries whose messages its segmentor received."""


@dataclass
class InferenceCache:
    """Messages, segmentor states and probabilities of one network, model input and runtime.

    Parameters
    ----------
    runtime : Runtime
        Device and tiles of the run.
    messages_limit, probabilities_limit, states_limit : int
        Limits in bytes.
    coarse : InferenceCache, optional
        Messages of the second pass at larger voxels, if there was one.
    """

    runtime: Runtime
    messages_limit: int = MESSAGES_LIMIT
    probabilities_limit: int = PROBABILITIES_LIMIT
    states_limit: int = STATES_LIMIT
    coarse: "InferenceCache | None" = None
    _messages: dict[int, dict[str, Levels]] = field(default_factory=dict)
    _probabilities: dict[_PairKey, np.ndarray] = field(default_factory=dict)
    _states: dict[_StateKey, ShallowState] = field(default_factory=dict)
    _messages_size: int = 0
    _states_size: int = 0

    @classmethod
    def disabled(cls, runtime: Runtime) -> Self:
        """Return a cache that stores nothing."""
        return cls(runtime, messages_limit=0, probabilities_limit=0, states_limit=0)

    @property
    def messages_bytes(self) -> int:
        """Size of the cached messages, both passes together."""
        return self._messages_size + (self.coarse.messages_bytes if self.coarse else 0)

    @property
    def states_bytes(self) -> int:
        """Size of the cached segmentor states."""
        return self._states_size

    @property
    def probabilities_bytes(self) -> int:
        """Size of the cached probabilities."""
        return sum(values.nbytes for values in self._probabilities.values())

    def ensure_coarse(self, shape: Shape) -> "InferenceCache":
        """Return the cache of the pass at larger voxels over a volume of shape (Z, Y, X)."""
        if self.coarse is None:
            runtime = coarse_runtime(self.runtime, shape)
            self.coarse = InferenceCache(
                runtime, self.messages_limit, probabilities_limit=0, states_limit=0
            )
        return self.coarse

    def messages(self, tile: int) -> dict[str, Levels]:
        """Return the cached messages of a tile by encoder, on the device of the run."""
        device = self.runtime.device
        cached = self._messages.get(tile, {})
        return {name: tuple(t.to(device) for t in levels) for name, levels in cached.items()}

    def store_messages(self, tile: int, levels: Mapping[str, Levels]) -> None:
        """Store messages of a tile by encoder, up to the limit."""
        cached = self._messages.setdefault(tile, {})
        for name in levels.keys() - cached.keys():
            size = _bytes_of(levels[name])
            if self._messages_size + size <= self.messages_limit:
                cached[name] = tuple(t.cpu() for t in levels[name])
                self._messages_size += size

    def store_state(
        self, tile: int, subtask: str, plan: InferencePlan, state: ShallowState
    ) -> None:
        """Store the state of a segmentor that receives messages, up to the limit."""
        auxiliaries = frozenset(plan.auxiliaries(subtask))
        key, size = (tile, subtask, auxiliaries), _bytes_of(state.tensors())
        if not auxiliaries or key in self._states or self._states_size + size > self.states_limit:
            return
        kappas = {name: kappa.cpu() for name, kappa in state.kappas.items()}
        self._states[key] = ShallowState(
            state.own.cpu(), state.deep.cpu(), kappas, state.statistics
        )
        self._states_size += size

    def state(self, tile: int, subtask: str, plan: InferencePlan) -> ShallowState | None:
        """Return the cached state of a segmentor on the device of the run, or None."""
        cached = self._states.get((tile, subtask, frozenset(plan.auxiliaries(subtask))))
        if cached is None:
            return None
        device = self.runtime.device
        kappas = {name: kappa.to(device) for name, kappa in cached.kappas.items()}
        return ShallowState(
            cached.own.to(device), cached.deep.to(device), kappas, cached.statistics
        )

    def clear_features(self) -> None:
        """Drop messages and states, the larger part; probabilities stay."""
        self._messages, self._states = {}, {}
        self._messages_size = self._states_size = 0
        if self.coarse is not None:
            self.coarse.clear_features()

    def probabilities(self, plan: InferencePlan) -> dict[Pair, np.ndarray]:
        """Return the cached probabilities of a plan's pairs, on the model grid."""
        cached = {pair: self._probabilities.get(_pair_key(pair, plan)) for pair in plan.pairs}
        return {pair: values for pair, values in cached.items() if values is not None}

    def store_probabilities(self, plan: InferencePlan, pairs: Mapping[Pair, np.ndarray]) -> None:
        """Store probabilities computed for a plan; drop the oldest beyond the limit."""
        for pair, values in pairs.items():
            key = _pair_key(pair, plan)
            self._probabilities.pop(key, None)
            self._probabilities[key] = values
        while self.probabilities_bytes > self.probabilities_limit:
            del self._probabilities[next(iter(self._probabilities))]


def _pair_key(pair: Pair, plan: InferencePlan) -> _PairKey:
    return pair, frozenset(plan.auxiliaries(pair.primary))


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)

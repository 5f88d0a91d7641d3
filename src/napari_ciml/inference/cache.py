"""What a run keeps for the next one, so that a what-if costs no more than what it touches.

Kept are the messages, that is every encoder's levels from P/2 down, tile by tile, in the precision
the network ran in; each segmentor's state at the shallowest gate, which is all that the maps need;
and the probabilities of pairs, by what their segmentor heard. A segmentor's own full-resolution
embedding is not: it is five sixths of an encoder's output and one convolution of one channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.engines.base import Levels
from napari_ciml.inference.multiscale import coarse_workspace
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tiles import Shape
from napari_ciml.network.last_level import ShallowState

MESSAGES_LIMIT = 2**30
STATES_LIMIT = 2**30
ANSWERS_LIMIT = 2**29
"""Bytes. Beyond them, messages and states are not kept but computed again, old answers go."""

Answer = tuple[Pair, frozenset[str]]
"""A pair, and the auxiliaries its segmentor heard."""

_Place = tuple[int, str, frozenset[str]]
"""A tile, a subtask, and the auxiliaries its segmentor heard."""


@dataclass
class InferenceCache:
    """What a run keeps; valid for one network, one model input and one workspace.

    Parameters
    ----------
    workspace : Workspace
        Device and tiles of the run.
    messages_limit, answers_limit, states_limit : int
        How many bytes may be kept of each.
    """

    workspace: Runtime
    messages_limit: int = MESSAGES_LIMIT
    answers_limit: int = ANSWERS_LIMIT
    states_limit: int = STATES_LIMIT
    coarse: "InferenceCache | None" = None
    """What the pass at larger voxels keeps, if there was one: messages alone."""
    _messages: dict[int, dict[str, Levels]] = field(default_factory=dict)
    _answers: dict[Answer, np.ndarray] = field(default_factory=dict)
    _states: dict[_Place, ShallowState] = field(default_factory=dict)
    _size: int = 0
    _states_size: int = 0

    @property
    def messages_bytes(self) -> int:
        """Bytes of the messages that are kept."""
        return self._size + (self.coarse.messages_bytes if self.coarse else 0)

    @property
    def states_bytes(self) -> int:
        """Bytes of the segmentors' states that are kept."""
        return self._states_size

    @property
    def answers_bytes(self) -> int:
        """Bytes of the probabilities that are kept."""
        return sum(values.nbytes for values in self._answers.values())

    def coarser(self, shape: Shape) -> "InferenceCache":
        """Return what is kept of the pass at larger voxels over a volume, (Z, Y, X)."""
        if self.coarse is None:
            space = coarse_workspace(self.workspace, shape)
            self.coarse = InferenceCache(
                space, self.messages_limit, answers_limit=0, states_limit=0
            )
        return self.coarse

    def messages(self, tile: int) -> dict[str, Levels]:
        """Return what is kept of a tile's messages, by encoder, on the workspace's device."""
        device = self.workspace.device
        known = self._messages.get(tile, {})
        return {name: tuple(t.to(device) for t in levels) for name, levels in known.items()}

    def store_messages(self, tile: int, levels: Mapping[str, Levels]) -> None:
        """Keep a tile's messages, by encoder, as far as there is room."""
        known = self._messages.setdefault(tile, {})
        for name in levels.keys() - known.keys():
            size = sum(t.numel() * t.element_size() for t in levels[name])
            if self._size + size <= self.messages_limit:
                known[name] = tuple(t.cpu() for t in levels[name])
                self._size += size

    def store_state(
        self, tile: int, subtask: str, plan: InferencePlan, state: ShallowState
    ) -> None:
        """Keep what a segmentor's maps begin with, if there is room."""
        place = tile, subtask, frozenset(plan.auxiliaries(subtask))
        size = sum(t.numel() * t.element_size() for t in state.tensors())
        if not place[2] or place in self._states or self._states_size + size > self.states_limit:
            return
        heard = {name: kappa.cpu() for name, kappa in state.kappas.items()}
        self._states[place] = ShallowState(
            state.own.cpu(), state.deep.cpu(), heard, state.statistics
        )
        self._states_size += size

    def state(self, tile: int, subtask: str, plan: InferencePlan) -> ShallowState | None:
        """Return what was kept of a segmentor, on the workspace's device."""
        found = self._states.get((tile, subtask, frozenset(plan.auxiliaries(subtask))))
        if found is None:
            return None
        device = self.workspace.device
        heard = {name: kappa.to(device) for name, kappa in found.kappas.items()}
        return ShallowState(found.own.to(device), found.deep.to(device), heard, found.statistics)

    def clear_features(self) -> None:
        """Forget messages and states, the larger part; who needs them computes them again."""
        self._messages, self._states = {}, {}
        self._size = self._states_size = 0
        if self.coarse is not None:
            self.coarse.clear_features()

    def probabilities(self, plan: InferencePlan) -> dict[Pair, np.ndarray]:
        """Return the probabilities that are known of those a plan asks for, on the model's grid."""
        wanted = {pair: self._answers.get(_answer(pair, plan)) for pair in plan.pairs}
        return {pair: values for pair, values in wanted.items() if values is not None}

    def store_probabilities(self, plan: InferencePlan, pairs: Mapping[Pair, np.ndarray]) -> None:
        """Keep what was computed for a plan; the oldest goes when there is too much."""
        for pair, values in pairs.items():
            key = _answer(pair, plan)
            self._answers.pop(key, None)
            self._answers[key] = values
        while self.answers_bytes > self.answers_limit:
            del self._answers[next(iter(self._answers))]


def _answer(pair: Pair, plan: InferencePlan) -> Answer:
    return pair, frozenset(plan.auxiliaries(pair.primary))

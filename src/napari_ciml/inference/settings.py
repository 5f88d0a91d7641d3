"""Options and settings of a run. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from math import isfinite
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, PlainSerializer

from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.errors import InputError

THRESHOLD = 0.5
MOST_OVERLAP = 0.9
ENGINES = ("auto", "torch", "openvino")


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return find_spec("openvino") is not None


def _pairs_from_rows(value: object) -> object:
    """Return weights by pair from rows of (primary, region, weight), as JSON holds them."""
    if isinstance(value, Mapping):
        return value
    return {Pair(*row[:2]): row[2] for row in value}  # type: ignore[attr-defined]


def _rows_from_pairs(weights: Mapping[Pair, float]) -> list[tuple[str, str, float]]:
    return [(pair.primary, pair.region, weight) for pair, weight in weights.items()]


PairWeights = Annotated[
    Mapping[Pair, float], BeforeValidator(_pairs_from_rows), PlainSerializer(_rows_from_pairs)
]
"""Weights by pair; in JSON a list of (primary, region, weight)."""

MutedMessages = Annotated[frozenset[Message], PlainSerializer(sorted)]
"""Messages; in JSON a sorted list of (primary, auxiliary)."""


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not depend on the machine; their only definition.

    The request of the window, the settings of a run, the saved session and the command line
    all hold an object of this class.

    Parameters
    ----------
    thresholds : mapping of str to float
        By region, the smallest probability, in (0, 1), of a voxel that belongs to it; 0.5 by
        default.
    weights : mapping of Pair to float
        Weight of a pair in its region's ensemble; 1 by default, 0 leaves the pair out.
    postprocess : bool
        Remove small components and fill holes as the checkpoint defines it; probabilities are not
        changed.
    test_time_flips : bool
        Test-time augmentation: average the probabilities of a tile over its flips along every
        axis, eight passes instead of one. Samples and maps are computed without flips.
    multiscale : bool, optional
        Average with a second pass at voxels 1.25 times as large. Samples and maps are computed from
        the first pass. The checkpoint defines the default.
    kappa_samples : int
        Number of samples of kappa for the uncertainty; 0 computes no uncertainty.
    seed : int
        Seed of the samples of kappa.
    overlap : float, optional
        Smallest fraction of a tile's edge that neighbours share, in [0, 0.9]; tiles then have the
        size of the checkpoint's largest patch. By default it depends on the norm, see
        `tile_policy`.

    Raises
    ------
    InputError
        If a threshold, a weight or the overlap is out of range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    thresholds: Mapping[str, float] = field(default_factory=dict)
    weights: PairWeights = field(default_factory=dict)
    postprocess: bool = True
    test_time_flips: bool = False
    multiscale: bool | None = None
    kappa_samples: int = 0
    seed: int = 0
    overlap: float | None = None

    def __post_init__(self) -> None:
        for region, value in self.thresholds.items():
            if not 0 < value < 1:
                raise InputError(f"The threshold of {region} is {value:g}; choose one in (0, 1).")
        for pair, value in self.weights.items():
            if not (isfinite(value) and value >= 0):
                raise InputError(
                    f"The weight of {pair.region} from {pair.primary} is {value:g}; "
                    "choose one from 0 on."
                )
        if self.overlap is not None and not 0 <= self.overlap <= MOST_OVERLAP:
            raise InputError(
                f"The overlap is {self.overlap:g}; choose one from 0 to {MOST_OVERLAP}."
            )

    def threshold(self, region: str) -> float:
        """Return the smallest probability of a voxel that belongs to a region."""
        return self.thresholds.get(region, THRESHOLD)

    def weight(self, pair: Pair) -> float:
        """Return the weight of a pair in its region's ensemble."""
        return self.weights.get(pair, 1.0)


@dataclass(frozen=True)
class SegmentSettings(RunOptions):
    """Options of a run, the messages that are muted, and where and with what to compute.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    engine : str
        ``auto``, ``torch`` or ``openvino``. ``auto`` is the fastest: ``openvino`` on a CPU if it is
        installed, else ``torch``.
    muted : frozenset of Message
        Messages that are not passed.
    """

    device: str = "auto"
    engine: str = "auto"
    muted: MutedMessages = frozenset()

    @property
    def options(self) -> RunOptions:
        """The options alone."""
        return RunOptions(**{one.name: getattr(self, one.name) for one in fields(RunOptions)})

    def with_options(self, options: RunOptions) -> "SegmentSettings":
        """Return the same device, engine and muted messages with other options."""
        return replace(self, **{one.name: getattr(options, one.name) for one in fields(options)})

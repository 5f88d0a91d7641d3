"""How to segment, as the user says it; no torch here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import isfinite

from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.errors import InputError

THRESHOLD = 0.5
MOST_OVERLAP = 0.9
ENGINES = ("auto", "torch", "openvino")


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return find_spec("openvino") is not None


@dataclass(frozen=True)
class SegmentSettings:
    """How to segment.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    engine : str
        ``auto`` takes the fastest there is: ``openvino`` on a CPU if it is installed, or ``torch``.
    muted : frozenset of Message
        Messages that are not passed.
    clean : bool
        Remove specks and fill holes as the checkpoint says; probabilities keep them.
    thresholds : mapping of str to float
        By region, in (0, 1): from which probability on a voxel belongs to it; 0.5 where none is
        given.
    weights : mapping of Pair to float
        A pair's weight in its region's ensemble; 1 where none is given, 0 leaves the pair out.
    samples : int
        How many samples of kappa the uncertainty is computed from; 0 computes none.
    seed : int
        Of the samples.
    mirror : bool
        Average the probabilities of a tile and of its mirror images along every axis: eight passes
        instead of one. Samples and maps are those of the tile as it is.
    coarser : bool, optional
        Average in a pass at voxels 1.25 times as large. Samples and maps are those of the first
        pass. By default as the checkpoint says.
    overlap : float, optional
        Share of a tile's edge that neighbours have in common at least, in [0, 0.9]: tiles are then
        the checkpoint's largest patch. By default the norm decides, see `tile_policy`.

    Raises
    ------
    InputError
        If a threshold, a weight or the overlap is out of range.
    """

    device: str = "auto"
    muted: frozenset[Message] = frozenset()
    postprocess: bool = True
    thresholds: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[Pair, float] = field(default_factory=dict)
    kappa_samples: int = 0
    seed: int = 0
    engine: str = "auto"
    test_time_flips: bool = False
    multiscale: bool | None = None
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
        """Return from which probability on a voxel belongs to a region."""
        return self.thresholds.get(region, THRESHOLD)

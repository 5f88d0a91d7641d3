"""What a run of the benchmark works on; handed to every contender's process as JSON."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from napari_ciml.network.settings import STRIDE

Shape = tuple[int, int, int]

MARGIN = 4
"""Voxels (1 mm) that the foreground crop leaves around the brain (`cases.model_space`)."""

_AROUND = 2 * STRIDE
_BASE = 0.55
"""Edge of the smallest volume of the growth, as a share of the case's."""


class Extent(BaseModel):
    """How large a case is, in voxels of 1 mm.

    Parameters
    ----------
    shape : tuple of int
        Of the volume, (Z, Y, X).
    box : tuple of int
        Of the brain with its margin, (Z, Y, X), multiples of 16: what the foreground crop keeps.
    """

    model_config = ConfigDict(frozen=True)

    shape: Shape
    box: Shape

    @property
    def start(self) -> Shape:
        """First voxel of the box: central, on a multiple of 16."""
        z, y, x = (
            (edge - inner) // 2 // STRIDE * STRIDE
            for edge, inner in zip(self.shape, self.box, strict=True)
        )
        return z, y, x

    def stretched(self, factors: Shape) -> Self:
        """Return an extent whose edges are so many times as long."""
        z, y, x = (edge * factor for edge, factor in zip(self.shape, factors, strict=True))
        c, b, a = (edge * factor for edge, factor in zip(self.box, factors, strict=True))
        return type(self)(shape=(z, y, x), box=(c, b, a))


BRATS = Extent(shape=(155, 240, 240), box=(144, 176, 144))
QUARTER = Extent(shape=(128, 128, 128), box=(80, 112, 96))
"""A quarter of the voxels, of the volume and of the brain."""


def cube(edge: int) -> Extent:
    """Return a cubic volume."""
    inner = max(2 * STRIDE, int(0.7 * edge) // STRIDE * STRIDE)
    return Extent(shape=(edge, edge, edge), box=(inner, inner, inner))


class BenchConfig(BaseModel):
    """One run.

    Parameters
    ----------
    folder : pathlib.Path
        Cases, checkpoint and results; removed at the end.
    extent : Extent
        Of the case.
    base_filters : int
        C of the network, a multiple of that of the shipped checkpoint.
    quick : bool
        Whether slow parts are left out or sampled more thinly.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    extent: Extent
    base_filters: int
    quick: bool

    @property
    def case(self) -> Path:
        """Folder of the case."""
        return self.folder / "case"

    @property
    def checkpoint(self) -> Path:
        """The network of all contenders but nnU-Net."""
        return self.folder / "bench.safetensors"

    @property
    def growth(self) -> dict[str, Extent]:
        """Extents of one, two and four times the voxels, by the name of their case.

        A quick run leaves out the one in the middle.
        """
        z, y, x = (
            max(2 * STRIDE, round(edge * _BASE / STRIDE) * STRIDE) for edge in self.extent.box
        )
        base = Extent(shape=(z + _AROUND, y + _AROUND, x + _AROUND), box=(z, y, x))
        factors: dict[str, Shape] = {"1x": (1, 1, 1), "2x": (1, 1, 2), "4x": (2, 1, 2)}
        if self.quick:
            del factors["2x"]
        return {name: base.stretched(factor) for name, factor in factors.items()}

    def result(self, contender: str) -> Path:
        """Return the folder that a contender writes into."""
        return self.folder / "results" / contender.replace(" ", "-")

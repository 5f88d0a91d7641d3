"""Configuration of a benchmark run, passed to every contender's process as JSON."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from napari_ciml.network.settings import STRIDE

Shape = tuple[int, int, int]

MARGIN = 4
"""Voxels (1 mm) that the foreground crop leaves around the brain (`cases.preprocessing`)."""

_BORDER = 2 * STRIDE
_BASE = 0.55
"""Edge of the smallest volume of growing size, as a fraction of the case's."""


class Extent(BaseModel):
    """Size of a case in voxels of 1 mm.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volume, (Z, Y, X).
    box : tuple of int
        Shape of the brain with its margin, (Z, Y, X), multiples of 16: the foreground crop.
    """

    model_config = ConfigDict(frozen=True)

    shape: Shape
    box: Shape

    @property
    def start(self) -> Shape:
        """First voxel of the box, near the centre, on a multiple of 16."""
        z, y, x = (
            (edge - inner) // 2 // STRIDE * STRIDE
            for edge, inner in zip(self.shape, self.box, strict=True)
        )
        return z, y, x

    def scale(self, factors: Shape) -> Self:
        """Return an extent with each edge multiplied by a factor."""
        z, y, x = (edge * factor for edge, factor in zip(self.shape, factors, strict=True))
        c, b, a = (edge * factor for edge, factor in zip(self.box, factors, strict=True))
        return type(self)(shape=(z, y, x), box=(c, b, a))


BRATS = Extent(shape=(155, 240, 240), box=(144, 176, 144))
QUARTER = Extent(shape=(128, 128, 128), box=(80, 112, 96))
"""A quarter of the voxels of volume and brain."""


def cube(edge: int) -> Extent:
    """Return the extent of a cubic volume."""
    inner = max(2 * STRIDE, int(0.7 * edge) // STRIDE * STRIDE)
    return Extent(shape=(edge, edge, edge), box=(inner, inner, inner))


class BenchConfig(BaseModel):
    """Configuration of a run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of cases, checkpoint and results; deleted at the end.
    extent : Extent
        Size of the case.
    base_filters : int
        C of the network, a multiple of that of the bundled checkpoint.
    quick : bool
        Leave out slow parts, or measure them in part.
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
        """Checkpoint of all contenders but nnU-Net."""
        return self.folder / "bench.safetensors"

    @property
    def growth(self) -> dict[str, Extent]:
        """Extents with one, two and four times the voxels, by the name of their case.

        A quick run leaves out the second.
        """
        z, y, x = (
            max(2 * STRIDE, round(edge * _BASE / STRIDE) * STRIDE) for edge in self.extent.box
        )
        base = Extent(shape=(z + _BORDER, y + _BORDER, x + _BORDER), box=(z, y, x))
        factors: dict[str, Shape] = {"1x": (1, 1, 1), "2x": (1, 1, 2), "4x": (2, 1, 2)}
        if self.quick:
            del factors["2x"]
        return {name: base.scale(factor) for name, factor in factors.items()}

    def result(self, contender: str) -> Path:
        """Return the folder of a contender's result."""
        return self.folder / "results" / contender.replace(" ", "-")

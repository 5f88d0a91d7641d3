"""Maps that are brought onto the case grid when somebody looks at them."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.model_space import to_case_grid
from napari_ciml.explanation.gradcam import Triple

_PLACED = 4
"""How many placed maps are held: a map of 9 million voxels is 34 MiB."""


class PlacedMaps(Mapping[Triple, np.ndarray]):
    """Maps by pair and auxiliary, (Z, Y, X) float32 on the case grid, in [0, 1].

    They are held on the model's grid, where they are a tenth of the size.

    Parameters
    ----------
    maps : mapping of (Pair, str) to numpy.ndarray
        (z, y, x) float32, not normalised.
    largest : float
        What 1 stands for; 0 where all maps are zero.
    grid : Grid
        Of the maps.
    case : Case
        Gives the grid to bring them to.
    """

    def __init__(
        self, maps: Mapping[Triple, np.ndarray], largest: float, grid: Grid, case: Case
    ) -> None:
        self._maps = maps
        self._largest = largest
        self._grid = grid
        self._case = case
        self._placed: OrderedDict[Triple, np.ndarray] = OrderedDict()

    def __getitem__(self, triple: Triple) -> np.ndarray:
        placed = self._placed.pop(triple, None)
        if placed is None:
            zeta = self._maps[triple] / np.float32(self._largest or 1.0)
            placed = to_case_grid(zeta, self._grid, self._case)
        self._placed[triple] = placed
        if len(self._placed) > _PLACED:
            self._placed.popitem(last=False)
        return placed

    def __iter__(self) -> Iterator[Triple]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

"""Results that are brought onto the case grid when somebody looks at them."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from napari_ciml.cases.geometry import Grid, resample

_PLACED = 4
"""How many placed arrays are held: one of 9 million voxels is 34 MiB."""

Key = TypeVar("Key", bound=Hashable)


class LazyResampledVolumes(Mapping[Key, np.ndarray]):
    """Arrays by key, (Z, Y, X) float32 on a case grid.

    They are held on the model's grid, where they are often a tenth of the size.

    Parameters
    ----------
    arrays : mapping to numpy.ndarray
        (z, y, x) float32 on ``source``; 0 outside of it.
    source, target : Grid
        The model's, the case's.
    factor : float
        What every array is multiplied by.
    """

    def __init__(
        self, arrays: Mapping[Key, np.ndarray], source: Grid, target: Grid, factor: float = 1.0
    ) -> None:
        self._arrays = arrays
        self._source = source
        self._target = target
        self._factor = np.float32(factor)
        self._placed: OrderedDict[Key, np.ndarray] = OrderedDict()

    @property
    def source_arrays(self) -> Mapping[Key, np.ndarray]:
        """The arrays as they were computed, not multiplied."""
        return self._arrays

    def __getitem__(self, key: Key) -> np.ndarray:
        placed = self._placed.pop(key, None)
        if placed is None:
            placed = resample(self._arrays[key] * self._factor, self._source, self._target)
        self._placed[key] = placed
        if len(self._placed) > _PLACED:
            self._placed.popitem(last=False)
        return placed

    def is_cached(self, key: Key) -> bool:
        """Whether an array has been brought onto the case grid, so that looking it up is quick."""
        return key in self._placed

    def sample_at(self, key: Key, where: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Return an array at some voxels of the case grid, without bringing all of it there.

        Parameters
        ----------
        key
            Which array.
        where : tuple of numpy.ndarray
            Indices along z, y and x, whose mesh is asked for.

        Returns
        -------
        numpy.ndarray
            (Z, Y, X) float32, linearly interpolated; 0 outside of the model's grid. The axes of
            the two grids are parallel.
        """
        from scipy import ndimage

        source, target = self._source, self._target
        apart = np.subtract(target.origin, source.origin)
        shift = (apart @ np.reshape(target.direction, (3, 3)))[::-1]
        axes = [
            (np.asarray(index) * step + first) / size
            for index, step, first, size in zip(
                where, target.scale, shift, source.scale, strict=True
            )
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        found = ndimage.map_coordinates(self._arrays[key], mesh, order=1, output=np.float32)
        return np.asarray(found * self._factor)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

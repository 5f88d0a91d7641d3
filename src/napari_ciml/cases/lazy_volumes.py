"""Volumes that are resampled to the case grid on access."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from napari_ciml.cases.geometry import Grid, resample

_CACHE_SIZE = 4
"""Number of resampled arrays that are cached: one of 9 million voxels has 34 MiB."""

Key = TypeVar("Key", bound=Hashable)


class LazyResampledVolumes(Mapping[Key, np.ndarray]):
    """Arrays by key, (Z, Y, X) float32 on a case grid.

    They are stored on the model grid, where they often have a tenth of the size.

    Parameters
    ----------
    arrays : mapping to numpy.ndarray
        (z, y, x) float32 on ``source``; 0 outside of it.
    source, target : Grid
        Model grid and case grid.
    factor : float
        Factor by which every array is multiplied.
    """

    def __init__(
        self, arrays: Mapping[Key, np.ndarray], source: Grid, target: Grid, factor: float = 1.0
    ) -> None:
        self._arrays = arrays
        self._source = source
        self._target = target
        self._factor = np.float32(factor)
        self._cache: OrderedDict[Key, np.ndarray] = OrderedDict()

    @property
    def source_arrays(self) -> Mapping[Key, np.ndarray]:
        """The arrays on the model grid, without the factor."""
        return self._arrays

    def __getitem__(self, key: Key) -> np.ndarray:
        resampled = self._cache.pop(key, None)
        if resampled is None:
            resampled = resample(self._arrays[key] * self._factor, self._source, self._target)
        self._cache[key] = resampled
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return resampled

    def is_cached(self, key: Key) -> bool:
        """Whether the resampled array is cached, so that access is quick."""
        return key in self._cache

    def sample_at(self, key: Key, where: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Sample an array at some voxels of the case grid without resampling all of it.

        Parameters
        ----------
        key
            Key of the array.
        where : tuple of numpy.ndarray
            Indices along z, y and x; their mesh is sampled.

        Returns
        -------
        numpy.ndarray
            (Z, Y, X) float32, linearly interpolated; 0 outside of the model grid. The axes of the
            two grids must be parallel.
        """
        from scipy import ndimage

        source, target = self._source, self._target
        offset = np.subtract(target.origin, source.origin)
        shift = (offset @ np.reshape(target.direction, (3, 3)))[::-1]
        axes = [
            (np.asarray(index) * step + first) / size
            for index, step, first, size in zip(
                where, target.scale, shift, source.scale, strict=True
            )
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        values = ndimage.map_coordinates(self._arrays[key], mesh, order=1, output=np.float32)
        return np.asarray(values * self._factor)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

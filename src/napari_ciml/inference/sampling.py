"""Monte Carlo uncertainty: sample kappa at inference (eq. 9).

Every sample draws eps for every message at every level and runs the segmentors; encoders run once.
Noise is a function of position, not of the tile: where tiles overlap they see the same eps, so that
blending does not average it out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from napari_ciml.cases.case import Case
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.cases.preprocessing import PreprocessedCase
from napari_ciml.decomposition.model import Pair
from napari_ciml.errors import CheckpointError
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.postprocessing import apply_temperature
from napari_ciml.inference.result import Uncertainty
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.inference.tiles import Shape
from napari_ciml.inference.uncertainty_maps import entropy
from napari_ciml.network.checkpoint_info import CheckpointInfo


@dataclass
class SampleStatistics:
    """Running statistics over samples on the model grid; arrays are (z, y, x) float32.

    Attributes
    ----------
    count : int
        Number of samples.
    mean : dict of str to numpy.ndarray
        By region, mean probability.
    squares : dict of str to numpy.ndarray
        By region, sum of squared deviations from the mean.
    pairs : dict of Pair to numpy.ndarray
        By pair, sum of probabilities.
    volumes : dict of str to list of float
        By region, the expected volume of each sample, in voxels of the model grid.
    """

    count: int = 0
    mean: dict[str, np.ndarray] = field(default_factory=dict)
    squares: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[Pair, np.ndarray] = field(default_factory=dict)
    volumes: dict[str, list[float]] = field(default_factory=dict)

    def add(
        self,
        regions: Mapping[str, np.ndarray],
        pairs: Mapping[Pair, np.ndarray],
        foreground: np.ndarray,
    ) -> None:
        """Add a sample by Welford's algorithm, without differences of large squares.

        Parameters
        ----------
        regions : mapping of str to numpy.ndarray
            Calibrated probability by region, (z, y, x) float32.
        pairs : mapping of Pair to numpy.ndarray
            Calibrated probability by pair, (z, y, x) float32.
        foreground : numpy.ndarray
            (z, y, x) bool; volumes are summed inside of it.
        """
        self.count += 1
        for name, values in regions.items():
            expected = np.sum(values, where=foreground, dtype=np.float64)
            self.volumes.setdefault(name, []).append(float(expected))
            mean = self.mean.get(name, np.float32(0))
            step = values - mean
            self.mean[name] = mean + step / np.float32(self.count)
            self.squares[name] = self.squares.get(name, np.float32(0)) + step * (
                values - self.mean[name]
            )
        for pair, values in pairs.items():
            self.pairs[pair] = self.pairs.get(pair, np.float32(0)) + values

    def spread(self, name: str) -> np.ndarray:
        """Return the standard deviation of a region's probability."""
        return np.asarray(np.sqrt(self.squares[name] / np.float32(max(1, self.count - 1))))

    def disagreement(self, name: str, plan: InferencePlan) -> np.ndarray:
        """Return the standard deviation over the pairs in a region's ensemble."""
        means = [
            values / np.float32(self.count)
            for pair, values in self.pairs.items()
            if pair.region == name and plan.weight(pair)
        ]
        return np.asarray(np.std(means, axis=0))


def require_variational(info: CheckpointInfo) -> None:
    """Require a network with a distribution of kappa.

    Raises
    ------
    CheckpointError
        If it passes no messages or was trained without variational information.
    """
    if not (info.network.message and info.network.variational):
        raise CheckpointError(
            f"'{info.name}' has no distribution to sample from; leave --uncertainty out."
        )


def sample(
    context: InferenceContext, model_input: PreprocessedCase, samples: int, seed: int
) -> SampleStatistics:
    """Run the network several times with sampled kappas.

    Parameters
    ----------
    context : InferenceContext
        Checkpoint, plan, monitor, and a cache whose messages are reused.
    model_input : PreprocessedCase
        Images and their foreground.
    samples : int
        Number of samples.
    seed : int
        Seed; it gives the same samples on any device.
    """
    temperatures = context.checkpoint.info.postprocessing.temperatures
    statistics = SampleStatistics()
    for number in range(samples):
        noise = NoiseSource(seed, number, context.runtime)
        stage = f"Sampling {number + 1} of {samples}"
        raw = predict_pairs(context, model_input.images, noise.for_tile, stage)
        pairs = {
            pair: apply_temperature({pair.region: values}, temperatures)[pair.region]
            for pair, values in raw.items()
        }
        regions = apply_temperature(ensemble(raw, context.plan), temperatures)
        statistics.add(regions, pairs, model_input.foreground)
    return statistics


def to_case_uncertainty(
    statistics: SampleStatistics,
    plan: InferencePlan,
    model_input: PreprocessedCase,
    case: Case,
    seed: int,
) -> Uncertainty:
    """Return the uncertainty on the case grid; maps are 0 outside of the foreground.

    Parameters
    ----------
    statistics : SampleStatistics
        Statistics over the samples.
    plan : InferencePlan
        Regions and ensemble weights.
    model_input : PreprocessedCase
        Gives the model grid and the foreground.
    case : Case
        Gives the case grid.
    seed : int
        Seed of the samples.
    """

    def by_region(compute: Callable[[str], np.ndarray]) -> LazyResampledVolumes[str]:
        names = plan.decomposition.region_names
        return LazyResampledVolumes(
            {name: compute(name) * model_input.foreground for name in names},
            model_input.grid,
            case.grid,
        )

    return Uncertainty(
        samples=statistics.count,
        seed=seed,
        mean=by_region(lambda name: statistics.mean[name]),
        entropy=by_region(lambda name: entropy(statistics.mean[name])),
        spread=by_region(statistics.spread),
        disagreement=by_region(lambda name: statistics.disagreement(name, plan)),
        volumes_ml={
            name: tuple(voxels * model_input.grid.voxel_ml for voxels in counts)
            for name, counts in statistics.volumes.items()
        },
    )


@dataclass(frozen=True)
class NoiseSource:
    """Noise of one sample for any tile.

    Parameters
    ----------
    seed : int
        Seed of all samples.
    number : int
        Index of the sample.
    runtime : Runtime
        Gives the tiles.
    """

    seed: int
    number: int
    runtime: Runtime

    def for_tile(self, subtask: str, tile: int) -> "TileNoise":
        """Return the noise of one segmentor over a tile, given by its index."""
        tiling = self.runtime.tiling
        return TileNoise(f"{self.seed} {self.number} {subtask}", tiling.tile, tiling.starts[tile])


@dataclass
class TileNoise:
    """Draw eps from N(0, 1) for one gate and message after the other.

    The noise of a volume is periodic with the tile's edges, so any tile is one period, rolled.

    Parameters
    ----------
    key : str
        Seed, sample and subtask.
    tile, start : tuple of int
        Edges and first voxel of the tile, (Z, Y, X).
    draws : int
        Number of calls so far.
    """

    key: str
    tile: Shape
    start: Shape
    draws: int = 0

    def __call__(self, like: Tensor) -> Tensor:
        """Return noise in the shape and on the device of a tensor, (1, C, z, y, x)."""
        generator = torch.Generator().manual_seed(crc32(f"{self.key} {self.draws}".encode()))
        self.draws += 1
        period = torch.randn(like.shape, generator=generator)
        step = self.tile[0] // like.shape[2]
        shifts = [-(at % edge) // step for at, edge in zip(self.start, self.tile, strict=True)]
        return period.roll(shifts, dims=(2, 3, 4)).to(like.device)

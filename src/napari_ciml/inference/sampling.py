"""Uncertainty: kappa sampled at inference (eq. 9), and where segmentors disagree.

Every sample draws eps anew for every message at every level and runs the segmentors; encoders run
once. Noise belongs to a place, not to a tile: where tiles overlap they see the same eps, so that
blending does not average it away.
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
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.postprocessing import apply_temperature
from napari_ciml.inference.result import Uncertainty
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.inference.tiles import Shape
from napari_ciml.inference.uncertainty_maps import entropy
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.progress import ProgressMonitor


@dataclass
class Sampled:
    """Sums over samples on the model's grid, each (z, y, x) float32."""

    count: int = 0
    mean: dict[str, np.ndarray] = field(default_factory=dict)
    squares: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[Pair, np.ndarray] = field(default_factory=dict)
    volumes: dict[str, list[float]] = field(default_factory=dict)
    """In voxels of the model's grid."""

    def add(
        self,
        regions: Mapping[str, np.ndarray],
        pairs: Mapping[Pair, np.ndarray],
        foreground: np.ndarray,
    ) -> None:
        """Add a sample (Welford's sums: no difference of large squares)."""
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
        return np.sqrt(self.squares[name] / np.float32(max(1, self.count - 1)))

    def disagreement(self, name: str, plan: InferencePlan) -> np.ndarray:
        """Return the standard deviation over the pairs that are in a region's ensemble."""
        means = [
            values / np.float32(self.count)
            for pair, values in self.pairs.items()
            if pair.region == name and plan.weight(pair)
        ]
        return np.asarray(np.std(means, axis=0))


def require_variational(info: CheckpointInfo) -> None:
    """Refuse a network that has no distribution to sample from.

    Raises
    ------
    CheckpointError
        If it has none.
    """
    if not (info.network.message and info.network.variational):
        raise CheckpointError(
            f"'{info.name}' has no distribution to sample from; leave --uncertainty out."
        )


def sample(
    checkpoint: Checkpoint,
    seen: PreprocessedCase,
    plan: InferencePlan,
    kept: InferenceCache,
    monitor: ProgressMonitor,
    samples: int,
    seed: int,
) -> Sampled:
    """Segment with sampled kappas, over and over.

    Parameters
    ----------
    checkpoint, plan, monitor
        As `predict_pairs`.
    seen : ModelInput
        The images and their foreground.
    kept : Kept
        Whose workspace is used, and whose messages.
    samples : int
        How often.
    seed : int
        The same seed gives the same samples, on any device.
    """
    temperatures = checkpoint.info.postprocessing.temperatures
    sums = Sampled()
    for number in range(samples):
        draws = NoiseSource(seed, number, kept.workspace)
        stage = f"Sampling {number + 1} of {samples}"
        found = predict_pairs(
            checkpoint, seen.images, plan, kept.workspace, monitor, kept, draws.for_tile, stage
        )
        pairs = {
            pair: apply_temperature({pair.region: values}, temperatures)[pair.region]
            for pair, values in found.items()
        }
        sums.add(apply_temperature(ensemble(found, plan), temperatures), pairs, seen.foreground)
    return sums


def to_case_uncertainty(
    sums: Sampled, plan: InferencePlan, seen: PreprocessedCase, case: Case, seed: int
) -> Uncertainty:
    """Say what samples come to, on the case grid; 0 outside of the foreground."""

    def by_region(of: Callable[[str], np.ndarray]) -> LazyResampledVolumes[str]:
        names = plan.decomposition.region_names
        return LazyResampledVolumes(
            {n: of(n) * seen.foreground for n in names}, seen.grid, case.grid
        )

    return Uncertainty(
        samples=sums.count,
        seed=seed,
        mean=by_region(lambda name: sums.mean[name]),
        entropy=by_region(lambda name: entropy(sums.mean[name])),
        spread=by_region(sums.spread),
        disagreement=by_region(lambda name: sums.disagreement(name, plan)),
        volumes_ml={
            name: tuple(count * seen.grid.voxel_ml for count in counts)
            for name, counts in sums.volumes.items()
        },
    )


@dataclass(frozen=True)
class NoiseSource:
    """Where eps comes from: one sample's noise, for any tile of a workspace."""

    seed: int
    number: int
    workspace: Runtime

    def for_tile(self, subtask: str, tile: int) -> "TileNoise":
        """Return the noise of one segmentor over one tile."""
        tiling = self.workspace.tiling
        return TileNoise(f"{self.seed} {self.number} {subtask}", tiling.tile, tiling.starts[tile])


@dataclass
class TileNoise:
    """Draws eps for one gate and message after the other.

    The noise of a volume repeats itself after a tile's edge, so a tile anywhere is one period of
    it, rolled.
    """

    key: str
    tile: Shape
    start: Shape
    drawn: int = 0

    def __call__(self, like: Tensor) -> Tensor:
        """Return noise in the shape and on the device of a tensor, (1, C, z, y, x)."""
        generator = torch.Generator().manual_seed(crc32(f"{self.key} {self.drawn}".encode()))
        self.drawn += 1
        period = torch.randn(like.shape, generator=generator)
        step = self.tile[0] // like.shape[2]
        shifts = [-(at % edge) // step for at, edge in zip(self.start, self.tile, strict=True)]
        return period.roll(shifts, dims=(2, 3, 4)).to(like.device)

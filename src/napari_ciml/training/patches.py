"""Patches drawn from a cohort, augmented; the k-th of a run depends on its seed and k alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from napari_ciml.network.settings import STRIDE
from napari_ciml.training.augmentation import augmentation
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.settings import TrainSettings
from napari_ciml.training.transplantation import transplant

Shape = tuple[int, int, int]


_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are spread evenly however many are taken."""


@dataclass(frozen=True)
class PatchSource:
    """Further cases that patches are drawn from.

    Parameters
    ----------
    cases : list of TrainingCase
        At least one.
    fraction : float
        Of all patches, in [0, 1].
    """

    cases: list[TrainingCase]
    fraction: float


class Patches(Dataset[dict[str, Tensor]]):
    """Endless patches: ``image`` (M, Z, Y, X) float32, ``regions`` (R, Z, Y, X) float32, ``index``.

    If some case is certain in parts only, also ``certain`` (1, Z, Y, X) float32.

    Parameters
    ----------
    cases : list of TrainingCase
        Drawn from uniformly; their lesions are the ones that are transplanted.
    settings : TrainSettings
        Patch size, foreground share, seed.
    partly : bool
        Say what is certain even if everything is.
    world : int
        Processes whose batches make a step together: its patches are of one size.
    sources : sequence of PatchSource
        Further cases; their fractions are kept as exactly as the number of patches allows, in a
        batch as in a run.
    """

    def __init__(
        self,
        cases: list[TrainingCase],
        settings: TrainSettings,
        partly: bool = False,
        world: int = 1,
        sources: Sequence[PatchSource] = (),
    ) -> None:
        self.cases = cases
        self.sources = sources
        self.settings = settings
        self.together = settings.batch_size * world
        everything = [*cases, *(case for source in sources for case in source.cases)]
        self.partly = partly or any(case.label_confidence_mask is not None for case in everything)

    @cached_property
    def _augment(self) -> Compose:
        masks = ("regions", "certain") if self.partly else ("regions",)
        return augmentation(masks, self.settings.scanner_augmentation)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.settings.seed, index))
        self._augment.set_random_state(int(rng.integers(2**31)))
        cases = self._source(index)
        case = cases[rng.integers(len(cases))]
        shape = draw_shape(self.settings, index // self.together)
        drawn = self._with_transplant(case, shape, rng) or draw_patch(
            case, shape, self.settings.foreground_share, rng
        )
        if self.partly and "certain" not in drawn:
            drawn["certain"] = torch.ones_like(drawn["regions"][:1])
        patch = self._augment(drawn)  # which adds entries of its own
        return {name: patch[name] for name in drawn} | {"index": torch.tensor(index)}

    def _source(self, index: int) -> list[TrainingCase]:
        """Return the cases that a patch is drawn from."""
        place = (index + 1) * _GOLDEN % 1
        for source in self.sources:
            if place < source.fraction:
                return source.cases
            place -= source.fraction
        return self.cases

    def _with_transplant(
        self, recipient: TrainingCase, shape: Shape, rng: np.random.Generator
    ) -> dict[str, Tensor] | None:
        """Return a patch with another case's lesion, as often as the settings say."""
        share = self.settings.transplantation
        if not share or recipient.label_confidence_mask is not None or rng.random() >= share:
            return None
        donor = self.cases[rng.integers(len(self.cases))]
        if donor.label_confidence_mask is not None or not any(
            len(voxels) for voxels in donor.foreground_voxels
        ):
            return None
        patch = transplant(donor, recipient, shape, rng)
        return {
            "image": torch.from_numpy(patch.images),
            "regions": torch.from_numpy(patch.regions.astype(np.float32)),
        }


class DistributedPatchSampler(Sampler[int]):
    """The indices of the patches that one of several processes takes, step after step.

    Parameters
    ----------
    settings : TrainSettings
        Steps, batch size.
    first : int
        Epoch to begin with.
    rank, world : int
        Which process this is, of how many.
    """

    def __init__(
        self, settings: TrainSettings, first: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.steps = range(first * settings.iterations, settings.steps)
        self.size, self.rank, self.world = settings.batch_size, rank, world

    def __len__(self) -> int:
        return len(self.steps) * self.size

    def __iter__(self) -> Iterator[int]:
        for step in self.steps:
            start = (step * self.world + self.rank) * self.size
            yield from range(start, start + self.size)


def draw_shape(settings: TrainSettings, step: int) -> Shape:
    """Draw the edges of a step's patches, (Z, Y, X) in voxels, multiples of 16."""
    if settings.largest_patch is None:
        return settings.patch
    rng = np.random.default_rng((settings.seed, step, 2))
    edges = zip(settings.patch, settings.largest_patch, strict=True)
    z, y, x = (int(rng.integers(a // STRIDE, b // STRIDE + 1)) * STRIDE for a, b in edges)
    return z, y, x


def draw_patch(
    case: TrainingCase, shape: Shape, foreground_share: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Cut one patch; beyond the volume's border it is background.

    A share of the patches is centred on a voxel of a region, each region as often as the others.
    """
    whole = case.regions.shape[1:]
    present = [voxels for voxels in case.foreground_voxels if len(voxels)]
    if present and rng.random() < foreground_share:
        voxels = present[rng.integers(len(present))]
        centre = voxels[rng.integers(len(voxels))]
    else:
        centre = rng.integers(0, whole)
    cut = {"image": case.images, "regions": case.regions}
    if case.label_confidence_mask is not None:
        cut["certain"] = case.label_confidence_mask[None]
    starts = [_start(int(c), n, p, rng) for c, n, p in zip(centre, whole, shape, strict=True)]
    return {name: torch.from_numpy(_cut(a, starts, shape)) for name, a in cut.items()}


def _start(centre: int, edge: int, patch: int, rng: np.random.Generator) -> int:
    """Return a patch's first voxel: near the centre, leaving the volume no more than it must."""
    if edge <= patch:
        return (edge - patch) // 2
    jitter = int(rng.integers(-patch // 8, patch // 8 + 1))
    return int(np.clip(centre - patch // 2 + jitter, 0, edge - patch))


def _cut(array: np.ndarray, starts: list[int], patch: Shape) -> np.ndarray:
    out = np.zeros((len(array), *patch), np.float32)
    source, target = [slice(None)], [slice(None)]
    for start, size, edge in zip(starts, patch, array.shape[1:], strict=True):
        first, last = max(start, 0), min(start + size, edge)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    out[tuple(target)] = array[tuple(source)]
    return out

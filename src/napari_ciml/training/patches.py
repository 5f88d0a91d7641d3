"""Random patches of a cohort, augmented; patch k depends on the seed and k only."""

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
"""Golden ratio: its multiples modulo 1 are evenly distributed, however many are taken."""


@dataclass(frozen=True)
class PatchSource:
    """Additional cases to draw patches from.

    Parameters
    ----------
    cases : list of TrainingCase
        At least one case.
    fraction : float
        Fraction of all patches, in [0, 1].
    """

    cases: list[TrainingCase]
    fraction: float


class Patches(Dataset[dict[str, Tensor]]):
    """Endless random patches.

    An item holds ``image`` (M, Z, Y, X) float32, ``regions`` (R, Z, Y, X) float32 and ``index``; if
    any case has a label confidence mask, also ``confidence`` (1, Z, Y, X) float32.

    Parameters
    ----------
    cases : list of TrainingCase
        Cases, drawn with equal probability; also the donors of transplanted lesions.
    settings : TrainSettings
        Patch size, foreground fraction, seed.
    masked : bool
        Return ``confidence`` even if no case has a label confidence mask.
    world : int
        Number of processes whose batches make up a step: all patches of a step have one size.
    sources : sequence of PatchSource
        Additional cases; their fractions hold as exactly as possible, in a batch as in a run.
    """

    def __init__(
        self,
        cases: list[TrainingCase],
        settings: TrainSettings,
        masked: bool = False,
        world: int = 1,
        sources: Sequence[PatchSource] = (),
    ) -> None:
        self.cases = cases
        self.sources = sources
        self.settings = settings
        self.patches_per_step = settings.batch_size * world
        all_cases = [*cases, *(case for source in sources for case in source.cases)]
        self.masked = masked or any(case.label_confidence_mask is not None for case in all_cases)

    @cached_property
    def _augment(self) -> Compose:
        masks = ("regions", "confidence") if self.masked else ("regions",)
        return augmentation(masks, self.settings.scanner_augmentation)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.settings.seed, index))
        self._augment.set_random_state(int(rng.integers(2**31)))
        cases = self._source(index)
        case = cases[rng.integers(len(cases))]
        shape = draw_shape(self.settings, index // self.patches_per_step)
        patch = self._draw_transplanted(case, shape, rng) or draw_patch(
            case, shape, self.settings.foreground_fraction, rng
        )
        if self.masked and "confidence" not in patch:
            patch["confidence"] = torch.ones_like(patch["regions"][:1])
        augmented = self._augment(patch)  # which adds entries of its own
        return {name: augmented[name] for name in patch} | {"index": torch.tensor(index)}

    def _source(self, index: int) -> list[TrainingCase]:
        """Return the cases that a patch is drawn from."""
        position = (index + 1) * _GOLDEN % 1
        for source in self.sources:
            if position < source.fraction:
                return source.cases
            position -= source.fraction
        return self.cases

    def _draw_transplanted(
        self, recipient: TrainingCase, shape: Shape, rng: np.random.Generator
    ) -> dict[str, Tensor] | None:
        """Return a patch with another case's lesion, with the probability in the settings."""
        probability = self.settings.transplantation
        if not probability or recipient.label_confidence_mask is not None:
            return None
        if rng.random() >= probability:
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
    """Patch indices of one of several processes, step after step.

    Parameters
    ----------
    settings : TrainSettings
        Number of steps, batch size.
    first : int
        First epoch.
    rank, world : int
        Number of this process, and of all processes.
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
    """Draw the patch size of a step, (Z, Y, X) in voxels, multiples of 16."""
    if settings.largest_patch is None:
        return settings.patch
    rng = np.random.default_rng((settings.seed, step, 2))
    edges = zip(settings.patch, settings.largest_patch, strict=True)
    z, y, x = (int(rng.integers(a // STRIDE, b // STRIDE + 1)) * STRIDE for a, b in edges)
    return z, y, x


def draw_patch(
    case: TrainingCase, shape: Shape, foreground_fraction: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Cut a random patch, zero-padded beyond the border of the volume.

    A fraction of the patches is centred on a voxel of a region; every region of the case is equally
    likely.
    """
    size = case.regions.shape[1:]
    present = [voxels for voxels in case.foreground_voxels if len(voxels)]
    if present and rng.random() < foreground_fraction:
        voxels = present[rng.integers(len(present))]
        centre = voxels[rng.integers(len(voxels))]
    else:
        centre = rng.integers(0, size)
    arrays = {"image": case.images, "regions": case.regions}
    if case.label_confidence_mask is not None:
        arrays["confidence"] = case.label_confidence_mask[None]
    starts = [_start(int(c), n, p, rng) for c, n, p in zip(centre, size, shape, strict=True)]
    return {name: torch.from_numpy(_cut(a, starts, shape)) for name, a in arrays.items()}


def _start(centre: int, edge: int, patch: int, rng: np.random.Generator) -> int:
    """Return the first voxel of a patch near the centre, inside the volume where it fits."""
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

"""The case, the network and the count of its operations."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.networks import BRATS
from napari_ciml.cases.case import open_case
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.case import write_case
from napari_ciml.research.bench.config import BRATS as WHOLE
from napari_ciml.research.bench.config import QUARTER, BenchConfig, Extent, cube
from napari_ciml.research.bench.monai_reference import Tiles
from napari_ciml.research.bench.peak import network_gflop


@pytest.mark.parametrize("extent", [WHOLE, QUARTER, cube(32), cube(100)])
def test_the_box_lies_in_the_volume_on_multiples_of_16(extent: Extent) -> None:
    for first, inner, edge in zip(extent.start, extent.box, extent.shape, strict=True):
        assert first % 16 == 0
        assert inner % 16 == 0
        assert first + inner <= edge


@pytest.mark.parametrize("extent", [WHOLE, QUARTER, cube(32)])
def test_the_growth_is_exactly_one_two_and_four(extent: Extent) -> None:
    setup = BenchConfig(folder=Path("gone"), extent=extent, base_filters=32, quick=False)
    one, two, four = setup.growth.values()
    for size in ("shape", "box"):
        whole = math.prod(getattr(one, size))
        assert math.prod(getattr(two, size)) == 2 * whole
        assert math.prod(getattr(four, size)) == 4 * whole
    quick = setup.model_copy(update={"quick": True})
    assert quick.growth == {"1x": one, "4x": four}


def test_the_foreground_crop_is_the_box(tmp_path: Path) -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (20, 31, 26)), indexing="ij")
    ball = z**2 + y**2 + x**2 < 1
    rng = np.random.default_rng(0)
    brain = {m: np.where(ball, rng.uniform(5, 9, ball.shape), 0) for m in BRATS.input_modalities}
    extent = Extent(shape=(70, 96, 64), box=(48, 64, 32))
    write_case(tmp_path, {m: image.astype(np.float32) for m, image in brain.items()}, extent)
    case = open_case(tmp_path)
    assert case.grid.shape == extent.shape
    modalities = BRATS.input_modalities
    normalisation = dict.fromkeys(modalities, "zscore")
    seen = preprocess(case, modalities, (1.0, 1.0, 1.0), normalisation, ProgressMonitor())
    assert seen.foreground.shape == extent.box
    assert seen.grid.origin == tuple(map(float, reversed(extent.start)))


def test_operations_of_the_network_are_292_gflop_for_64_cubed() -> None:
    settings = NetworkSettings(base_filters=32, norm="batch")
    found = network_gflop(BRATS, settings, (64, 64, 64))
    assert found == pytest.approx(292, abs=0.5)
    assert network_gflop(BRATS, settings, (128, 64, 50)) == pytest.approx(2 * found)


def test_operations_counted_by_hand() -> None:
    """Without messages: four encoders and decoders of Table 1, convolutions alone."""
    settings = NetworkSettings(base_filters=4, norm="batch", message=False)
    voxels, c = 64**3, 4

    def conv(inputs: int, outputs: int, level: int) -> float:
        return 2 * 27 * inputs * outputs * voxels / 8**level

    total = 0.0
    for task in BRATS.subtasks:
        inputs = len(task.primary)
        for level in range(4):
            width = c * 2**level
            total += conv(inputs, width, level) + conv(width, width, level + 1)
            inputs = width
        # Up1 to Up4: transposed convolutions cost each voxel they read, then one on what is joined.
        for level, (below, above, skip) in enumerate(
            [(8 * c, 8 * c, 4 * c), (8 * c, 4 * c, 2 * c), (4 * c, 2 * c, c), (2 * c, c, c)]
        ):
            total += conv(below, above, 4 - level) + conv(above + skip, above, 3 - level)
        total += conv(c, len(task.regions), 0)
    assert network_gflop(BRATS, settings, (64, 64, 64)) == pytest.approx(total / 1e9, rel=1e-6)


def test_tiles_that_are_not_computed_are_reckoned_in() -> None:
    def network(tile: Tensor) -> Tensor:
        time.sleep(0.02)
        return tile + 1

    computed = []
    tiles = Tiles(network, 2, ProgressMonitor(report=lambda p: computed.append(p.done)), "MONAI")
    answers = [tiles(torch.full((1, 1, 2, 2, 2), float(k))) for k in range(5)]
    assert [float(answer.mean()) for answer in answers] == [1, 2, 2, 2, 2]
    assert (tiles.count, computed) == (5, [1, 2])
    assert tiles.skipped_seconds >= 0.06


def test_where_all_tiles_are_computed_nothing_is_reckoned_in() -> None:
    for limit in (None, 3):
        tiles = Tiles(torch.nn.Identity(), limit, ProgressMonitor(), "MONAI")
        for k in range(3):
            assert float(tiles(torch.tensor(float(k)))) == k
        assert tiles.skipped_seconds == 0

"""SampleStatistics kappas: their statistics by hand, their noise in its place, their files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.checkpoints import tiny_info
from helpers.networks import inference_context, network
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.preprocessing import PreprocessedCase
from napari_ciml.decomposition.model import Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, CheckpointError
from napari_ciml.export.bundle import ExportInput, ExportOptions, export_results
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.sampling import NoiseSource, SampleStatistics, sample
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.inference.uncertainty_maps import entropy
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import Progress, ProgressMonitor

BRATS = PRESETS["brats2020"]
CPU = torch.device("cpu")


def test_statistics_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    a, b = Pair("T1", "TC"), Pair("T2", "TC")
    draws = rng.random((5, 2, 4, 4, 4)).astype(np.float32)
    sums, inside = SampleStatistics(), rng.random((4, 4, 4)) > 0.3
    for first, second in draws:
        sums.add({"TC": (first + second) / 2}, {a: first, b: second}, inside)
    regions = draws.mean(axis=1)
    np.testing.assert_allclose(sums.mean["TC"], regions.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(sums.volumes["TC"], regions[:, inside].sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(sums.spread("TC"), regions.std(axis=0, ddof=1), rtol=1e-4)
    plan = make_plan(tiny_info(BRATS), BRATS)
    expected = draws.mean(axis=0).std(axis=0)
    np.testing.assert_allclose(sums.disagreement("TC", plan), expected, rtol=1e-4)
    alone = make_plan(tiny_info(BRATS), BRATS, weights={a: 0.0})
    assert not sums.disagreement("TC", alone).any()


def test_entropy_in_bits() -> None:
    found = entropy(np.array([0.0, 0.5, 1.0, 0.25], np.float32))
    np.testing.assert_allclose(found, [0, 1, 0, 0.811278], atol=1e-5)


def test_noise_belongs_to_a_place_and_not_to_a_tile() -> None:
    tiling = make_tiling((64, 32, 48), (32, 32, 32), 0.5)
    draws = NoiseSource(0, 0, Runtime(CPU, tiling))
    for shrink in (2, 16):
        shape = tuple(edge // shrink for edge in tiling.shape)
        field, known = torch.zeros(3, *shape), torch.zeros(shape, dtype=torch.bool)
        for tile, where in enumerate(tiling.slices()):
            noise = draws.for_tile("T2", tile)(torch.empty(1, 3, *[32 // shrink] * 3))[0]
            at = tuple(slice(s.start // shrink, s.stop // shrink) for s in where)
            before = known[at]
            assert torch.equal(field[(slice(None), *at)][:, before], noise[:, before])
            field[(slice(None), *at)], known[at] = noise, True
        assert abs(float(field.std()) - 1) < 0.3
    one = draws.for_tile("T2", 0)
    like = torch.empty(1, 3, 8, 8, 8)
    first, second = one(like), one(like)
    assert not torch.equal(first, second)
    for other in (NoiseSource(1, 0, draws.runtime), NoiseSource(0, 1, draws.runtime)):
        assert not torch.equal(first, other.for_tile("T2", 0)(like))


def test_samples_are_the_networks_own(tiny_checkpoint: Checkpoint) -> None:
    """One tile: the mean over samples is that of the network given the same eps."""
    plan = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"])
    rng = np.random.default_rng(1)
    images = {m: rng.standard_normal((32, 32, 32)).astype(np.float32) for m in plan.modalities}
    kept = InferenceCache(Runtime(CPU, make_tiling((32, 32, 32), (32, 32, 32), 0.5)))
    given = PreprocessedCase(
        images, np.ones((32, 32, 32), bool), Grid((32, 32, 32), (1, 1, 1), (0, 0, 0))
    )
    context = inference_context(tiny_checkpoint, plan, kept.runtime, cache=kept)
    sums = sample(context, given, 3, seed=7)
    seen = {m: torch.from_numpy(i)[None, None] for m, i in images.items()}
    logits = []
    for number in range(3):
        noise = NoiseSource(7, number, kept.runtime).for_tile("T1CE", 0)
        with torch.no_grad():
            found = tiny_checkpoint.network(seen, ["T1CE"], plan.muted, noise)
        logits.append(found["T1CE"].logits[0])
    channel = BRATS.subtask("T1CE").regions.index("ET")
    expected = torch.sigmoid(torch.stack(logits)[:, channel]).mean(0).numpy()
    np.testing.assert_allclose(sums.mean["ET"], expected, atol=0.02)
    assert sums.spread("ET").max() > 0


def test_uncertainty_of_a_case(
    case_folder: Path, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    case, seen = open_case(case_folder), []
    settings = SegmentSettings(kappa_samples=2, seed=3)
    plain = segment(case, tiny_checkpoint)
    monitor = ProgressMonitor(lambda p: seen.append(p.stage))
    encoded: list[str] = []
    for part in tiny_checkpoint.network.encoders.values():
        part.register_forward_hook(lambda *_: encoded.append(""))
    result = segment(case, tiny_checkpoint, None, settings, monitor, plain)
    assert encoded == []  # from kept messages
    assert {"Sampling 1 of 2", "Sampling 2 of 2"} <= set(seen)
    np.testing.assert_array_equal(result.label_map, plain.label_map)
    found = result.uncertainty
    assert (found.samples, found.seed) == (2, 3)
    for name in BRATS.region_names:
        for values in (found.mean, found.entropy, found.spread, found.disagreement):
            assert values[name].shape == case.grid.shape
        assert 0 < found.entropy[name].max() <= 1 + 1e-5
    for name, volumes in found.volumes_ml.items():
        assert len(volumes) == 2
        mean_ml = found.mean.source_arrays[name].sum() * result.model_input.grid.voxel_ml
        assert np.mean(volumes) == pytest.approx(mean_ml, rel=1e-3)
        assert found.volume_spread_ml(name) == pytest.approx(abs(volumes[0] - volumes[1]) / 2**0.5)
        assert found.volume_spread_ml(name) > 0
    assert not found.disagreement["ET"].any()
    assert found.disagreement["TC"].any()
    again = segment(case, tiny_checkpoint, None, settings).uncertainty
    np.testing.assert_array_equal(again.entropy["WT"], found.entropy["WT"])
    kept = segment(case, tiny_checkpoint, None, settings, previous=result)
    assert kept.uncertainty is found
    wish = ExportOptions(frozenset({"probabilities"}))
    paths = export_results(
        tmp_path, ExportInput(case, result, result.label_map), wish, ProgressMonitor()
    )
    names = {path.name for path in paths}
    assert {f"uncertainty_{name}.nii.gz" for name in BRATS.region_names} <= names


def test_cancel_while_sampling(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    stop: list[Progress] = []

    def report(progress: Progress) -> None:
        if progress.stage.startswith("Sampling 2"):
            stop.append(progress)
            monitor.stop.set()

    monitor = ProgressMonitor(report)
    with pytest.raises(CancelledError):
        segment(
            open_case(case_folder), tiny_checkpoint, None, SegmentSettings(kappa_samples=3), monitor
        )
    assert len(stop) == 1


def test_nothing_to_sample_from(case_folder: Path) -> None:
    info = tiny_info(BRATS, variational=False)
    checkpoint = Checkpoint(Path("none"), info, "0", network(variational=False))
    with pytest.raises(CheckpointError, match="no distribution to sample from"):
        segment(open_case(case_folder), checkpoint, None, SegmentSettings(kappa_samples=2))

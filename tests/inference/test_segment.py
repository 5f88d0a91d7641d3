from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from napari_ciml.cases.case import open_case
from napari_ciml.decomposition.edits import without_subtask
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, CimlError, InputError
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.progress import ProgressMonitor

COARSER = SegmentSettings(multiscale=True)


def test_segment_is_on_the_case_grid_and_its_parts_agree(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    assert result.label_map.shape == case.grid.shape
    assert set(np.unique(result.label_map)) <= {0, 1, 2, 4}
    for region in tiny_checkpoint.info.decomposition.regions:
        voxels = np.isin(result.label_map, region.labels).sum()
        assert result.volumes_ml[region.name] == pytest.approx(voxels * 0.027)
        assert result.probabilities[region.name].shape == case.grid.shape
    assert set(result.pair_probabilities) == set(PRESETS["brats2020"].pairs)
    assert {"prepare", "network", "assemble"} <= set(result.seconds)
    assert result.peak_memory_mib > 50


def test_ensemble_is_the_mean_over_the_pairs_that_are_there(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    tc = [result.pair_probabilities[Pair(name, "TC")] for name in ("T1", "T2", "T1CE")]
    np.testing.assert_allclose(
        ensemble(result.pair_probabilities, result.plan)["TC"], np.mean(tc, axis=0)
    )
    fewer = segment(case, tiny_checkpoint, without_subtask(PRESETS["brats2020"], 1))
    assert Pair("T1", "TC") not in fewer.pair_probabilities
    expected = np.mean(tc[1:], axis=0)
    np.testing.assert_allclose(
        ensemble(fewer.pair_probabilities, fewer.plan)["TC"], expected, atol=1e-6
    )


def test_muting_changes_that_segmentor_and_no_other(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    before = segment(case, tiny_checkpoint)
    muted = SegmentSettings(muted=frozenset({Message("FLAIR", "T2")}))
    after = segment(case, tiny_checkpoint, settings=muted)
    for pair in before.pair_probabilities:
        same = np.allclose(
            before.pair_probabilities[pair], after.pair_probabilities[pair], atol=1e-6
        )
        assert same == (pair.primary != "FLAIR")


def test_what_the_checkpoint_says_is_done_to_its_output(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    plain = segment(case, tiny_checkpoint)
    finish = PostprocessingSettings(temperatures={"WT": 3.0}, min_component_ml={"TC": 1e4})
    info = tiny_checkpoint.info.model_copy(update={"postprocessing": finish})
    done = segment(case, replace(tiny_checkpoint, info=info))
    assert done.volumes_ml["TC"] == done.volumes_ml["ET"] or not plain.volumes_ml["TC"]
    assert 0.5 < done.probabilities["WT"].max() < plain.probabilities["WT"].max()
    raw = segment(
        case, replace(tiny_checkpoint, info=info), settings=SegmentSettings(postprocess=False)
    )
    np.testing.assert_array_equal(raw.label_map, plain.label_map)
    assert (raw.settings.postprocess, done.settings.postprocess) == (False, True)


def test_two_voxel_sizes_are_the_checkpoints_default_or_as_asked(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    info = tiny_checkpoint.info.model_copy(
        update={"postprocessing": PostprocessingSettings(multiscale=True)}
    )
    both = replace(tiny_checkpoint, info=info)
    told, asked = segment(case, both), segment(case, tiny_checkpoint, settings=COARSER)
    one = segment(case, both, settings=SegmentSettings(multiscale=False))
    assert [made.settings.multiscale for made in (told, asked, one)] == [True, True, False]
    for pair, found in told.pair_probabilities.items():
        np.testing.assert_array_equal(found, asked.pair_probabilities[pair])
        assert not np.array_equal(found, one.pair_probabilities[pair])


def test_probabilities_that_are_not_finite_are_refused(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    with torch.no_grad():
        next(tiny_checkpoint.network.segmentor("T1CE").parameters()).fill_(float("nan"))
    with pytest.raises(CimlError, match="from T1CE are not finite"):
        segment(open_case(case_folder), tiny_checkpoint)


def test_missing_modality(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    (case_folder / "case_t2.nii.gz").unlink()
    case = open_case(case_folder)
    with pytest.raises(InputError, match=r"T2 is missing \(found: FLAIR, T1, T1CE\)"):
        segment(case, tiny_checkpoint)
    two = segment(case, tiny_checkpoint, PRESETS["flair-t1ce"])
    assert set(two.pair_probabilities) == set(PRESETS["flair-t1ce"].pairs)


@pytest.mark.parametrize("stage", ["Finding", "Resampling", "Segmenting", "Mapping"])
def test_cancel_in_every_stage(case_folder: Path, tiny_checkpoint: Checkpoint, stage: str) -> None:
    stop, last = Event(), []

    def report(progress: object) -> None:
        last.append(progress.stage)
        if progress.stage.startswith(stage):
            stop.set()

    with pytest.raises(CancelledError):
        segment(open_case(case_folder), tiny_checkpoint, monitor=ProgressMonitor(report, stop=stop))
    assert last[-1].startswith(stage)

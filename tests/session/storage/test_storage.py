"""A review session, saved and opened again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from helpers.cases import write_case
from helpers.dicom_files import positions, write_series
from napari_ciml.cases.case import load_case
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.skull_stripping import with_brain_mask
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.explanation.explain import explain
from napari_ciml.explanation.result import Explanation
from napari_ciml.export.bundle import source_series
from napari_ciml.export.dicom_seg import SegmentationProvenance, write_dicom_seg
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import RunOptions, SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.findings import ReviewedLesion
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.read import open_session
from napari_ciml.session.storage.schema import is_session
from napari_ciml.session.storage.snapshot import EditedLabelMap, SessionSnapshot
from napari_ciml.session.storage.write import save_session
from napari_ciml.session.view_state import CameraState, LayerAppearance, SavedMapView

GRID = Grid((24, 28, 20), (4.0, 4.0, 4.0), (-40.0, -30.0, -20.0))
OBLIQUE = Grid(
    (24, 28, 20),
    (4.0, 4.0, 4.1),
    (-40.123456, -30.0, -20.0),
    (0.9659258, -0.2588190, 0.0, 0.2588190, 0.9659258, 0.0, 0.0, 0.0, 1.0),
)


def muted_settings() -> SegmentSettings:
    return SegmentSettings(
        muted=frozenset({Message("FLAIR", "T2")}),
        postprocess=False,
        thresholds={"WT": 0.4},
        weights={Pair("T2", "TC"): 2.0},
    )


def made_state(folder: Path, grid: Grid, checkpoint: Checkpoint) -> SessionSnapshot:
    """A case with two runs, one of them explained, and two label maps painted by hand."""
    write_case(folder, grid)
    (folder / "case_t2.nii.gz").rename(folder / "odd.nii.gz")
    found = discover_volumes(folder)
    modalities = tuple("T2" if s.path.name == "odd.nii.gz" else s.modality for s in found.sources)
    sources = dict(zip(modalities, found.sources, strict=True))
    moved = {"T2": AffineTransform.about(np.zeros(3), np.eye(3), np.array((3.0, -2.0, 1.5)))}
    case = load_case(sources, name=found.name, reference="T1", transforms=moved)
    first = segment(
        case,
        checkpoint,
        None,
        SegmentSettings(kappa_samples=2, engine="torch", test_time_flips=True),
    )
    second = segment(case, checkpoint, None, muted_settings())
    labels = first.label_map.copy()
    labels[3:6, 3:6, 3:6] = 4
    info = checkpoint.info
    why = explain(case, checkpoint, second, targets={"ET": labels == 4})
    return SessionSnapshot(
        discovered=found,
        modalities=modalities,
        case=case,
        request=SegmentationRequest(
            PRESETS["fig3"],
            RunOptions(
                thresholds={"TC": 0.3},
                weights={Pair("T1CE", "ET"): 0.5},
                postprocess=False,
                test_time_flips=True,
                multiscale=True,
                kappa_samples=3,
            ),
        ),
        past=(
            SegmentationRequest(PRESETS["fig3"]),
            SegmentationRequest(PRESETS["fig3"], RunOptions(thresholds={"TC": 0.3})),
        ),
        future=(
            SegmentationRequest(
                PRESETS["table6-1"], RunOptions(weights={Pair("T1CE", "ET"): 0.25})
            ),
        ),
        checkpoint=checkpoint.path,
        device="cpu",
        engine="torch",
        runs=[
            Run("as trained", first, None, info),
            Run(
                "T2 muted",
                second,
                explain(case, checkpoint, second),
                info,
            ),
        ],
        current=1,
        live=False,
        answered=[AnsweredQuery("ET at (1, 2, 3)", why, second)],
        map_view=SavedMapView(answer=0, primary="T1CE", region="ET", auxiliary="T1", opacity=0.25),
        grid="T2",
        corrections=[
            EditedLabelMap("segmentation", labels, current=True),
            EditedLabelMap("segmentation (edited)", labels * 0, current=False),
        ],
        reviewed=(ReviewedLesion(region="ET", point=(1.0, 2.0, 3.5), volume_ml=0.25),),
        appearances=(
            LayerAppearance(
                kind="modality", shows="T1", visible=True, opacity=0.5, limits=(1.0, 9.5)
            ),
        ),
        camera=CameraState(
            point=(1.0, 2.0, 3.0),
            order=(1, 0, 2),
            ndisplay=2,
            center=(0.0, 1.5, 2.0),
            zoom=3.25,
            angles=(0.0, 0.0, 90.0),
        ),
    )


def assert_same(a: SessionSnapshot, b: SessionSnapshot) -> None:
    parts = ("request", "device", "engine", "live", "map_view", "grid")
    assert (*a.past, *a.future) == (*b.past, *b.future)
    assert len(a.past) == len(b.past)
    for name in ("modalities", *parts, "current", "reviewed", "appearances"):
        assert getattr(a, name) == getattr(b, name), name
    assert a.camera == b.camera
    assert a.checkpoint.resolve() == b.checkpoint
    assert a.case.grid == b.case.grid
    assert a.case.native_grid == b.case.native_grid
    assert a.case.transforms == b.case.transforms
    assert a.case.reference == b.case.reference
    assert list(a.case.images) == list(b.case.images)
    for name, image in a.case.images.items():
        np.testing.assert_array_equal(image, b.case.images[name])
    for one, other in zip(a.runs, b.runs, strict=True):
        assert one.name == other.name
        assert_same_run(one, other)
    for painted, other in zip(a.corrections, b.corrections, strict=True):
        assert (painted.name, painted.current) == (other.name, other.current)
        np.testing.assert_array_equal(painted.labels, other.labels)

    for question, other in zip(a.answered, b.answered, strict=True):
        assert question.name == other.name
        assert other.segmentation is b.runs[b.current].segmentation
        assert_same_answer(question.explanation, other.explanation)


def assert_same_answer(a: Explanation, b: Explanation) -> None:
    np.testing.assert_equal(a.weights, b.weights)
    np.testing.assert_equal(dict(a.maps), dict(b.maps))
    assert (a.scale, a.strongest, a.notices) == (b.scale, b.strongest, b.notices)


def assert_same_run(a: Run, b: Run) -> None:
    one, other = a.segmentation, b.segmentation
    assert one.label_map.dtype == other.label_map.dtype
    np.testing.assert_array_equal(one.label_map, other.label_map)
    np.testing.assert_equal(one.probabilities, other.probabilities)
    np.testing.assert_equal(one.pair_probabilities, other.pair_probabilities)
    np.testing.assert_equal(dict(one.model_input.images), dict(other.model_input.images))
    np.testing.assert_array_equal(one.model_input.foreground, other.model_input.foreground)
    assert one.model_input.grid == other.model_input.grid
    assert one.cache.runtime == other.cache.runtime
    for name in ("plan", "volumes_ml", "checkpoint", "settings", "device", "seconds", "notices"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.uncertainty is None) == (other.uncertainty is None)
    if one.uncertainty is not None:
        for part in ("mean", "entropy", "spread", "disagreement"):
            found = getattr(other.uncertainty, part)
            np.testing.assert_equal(dict(getattr(one.uncertainty, part)), dict(found))
        assert dict(one.uncertainty.volumes_ml) == dict(other.uncertainty.volumes_ml)
    assert (a.explanation is None) == (b.explanation is None)
    if a.explanation is not None:
        assert_same_answer(a.explanation, b.explanation)


@pytest.mark.parametrize("grid", [GRID, OBLIQUE], ids=["straight", "oblique"])
def test_what_is_opened_is_what_was_saved(
    tmp_path: Path, grid: Grid, tiny_checkpoint: Checkpoint
) -> None:
    state = made_state(tmp_path / "case", grid, tiny_checkpoint)
    save_session(tmp_path / "session", state, ProgressMonitor())
    assert is_session(tmp_path / "session")
    again = open_session(tmp_path / "session", ProgressMonitor())
    assert_same(state, again)
    one, other = (run.segmentation for run in again.runs[:2])
    assert one.model_input is other.model_input
    assert one.label_map is not other.label_map
    # Explaining goes on from what was opened, as if it had never been closed.
    checkpoint = load_checkpoint(again.checkpoint)
    explained = explain(again.case, checkpoint, again.runs[1].segmentation)
    np.testing.assert_equal(explained.weights, state.runs[1].explanation.weights)
    once = segment(again.case, checkpoint, None, muted_settings(), None, again.runs[1].segmentation)
    np.testing.assert_array_equal(once.label_map, state.runs[1].segmentation.label_map)


def test_a_brain_mask_is_remembered(tmp_path: Path) -> None:
    write_case(tmp_path / "case", GRID)
    found = discover_volumes(tmp_path / "case")
    sources = {source.modality: source for source in found.sources if source.modality}
    mask = np.indices(GRID.shape).sum(axis=0) < 30
    case = with_brain_mask(load_case(sources, name="case"), mask)
    modalities = tuple(source.modality for source in found.sources)
    asked = {"request": SegmentationRequest(PRESETS["fig3"]), "checkpoint": None, "device": "cpu"}
    state = SessionSnapshot(found, modalities, case, **asked, runs=[], current=None, corrections=[])
    save_session(tmp_path / "session", state, ProgressMonitor())
    again = open_session(tmp_path / "session", ProgressMonitor()).case
    np.testing.assert_array_equal(again.brain, mask)
    assert again.notices == case.notices


@pytest.fixture
def saved(tmp_path: Path, tiny_checkpoint: Checkpoint) -> tuple[SessionSnapshot, Path]:
    state = made_state(tmp_path / "data" / "case", GRID, tiny_checkpoint)
    save_session(tmp_path / "data" / "session", state, ProgressMonitor())
    return state, tmp_path / "data" / "session"


def test_case_and_session_can_be_moved_together(
    saved: tuple[SessionSnapshot, Path], tmp_path: Path
) -> None:
    shutil.move(tmp_path / "data", tmp_path / "moved")
    again = open_session(tmp_path / "moved" / "session", ProgressMonitor())
    np.testing.assert_array_equal(again.case.images["T1"], saved[0].case.images["T1"])
    assert again.case.sources["T1"].path.is_relative_to(tmp_path / "moved")


def test_saving_again_writes_only_what_is_new_and_leaves_nothing_behind(
    saved: tuple[SessionSnapshot, Path],
) -> None:
    state, folder = saved
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    fewer = SessionSnapshot(**{**vars(state), "runs": state.runs[1:], "current": 0})
    save_session(folder, fewer, ProgressMonitor())
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert after.keys() < before.keys()
    assert {name for name in after if after[name] != before[name]} == {"session.json"}
    assert_same(fewer, open_session(folder, ProgressMonitor()))


def test_a_missing_or_changed_image_is_one_sentence(saved: tuple[SessionSnapshot, Path]) -> None:
    state, folder = saved
    path = state.case.sources["T1CE"].path
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    with pytest.raises(InputError, match=r"case_t1ce.*has changed since the session was saved"):
        open_session(folder, ProgressMonitor())
    path.unlink()
    with pytest.raises(InputError, match=r"case_t1ce.*T1CE of this session is missing"):
        open_session(folder, ProgressMonitor())


def test_a_damaged_session_is_one_sentence(
    saved: tuple[SessionSnapshot, Path], tmp_path: Path
) -> None:
    folder = saved[1]
    volume = next(folder.glob("corrected-*"))
    other = next(folder.glob("labels-*"))
    content = volume.read_bytes()
    volume.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match="is not what was saved"):
        open_session(folder, ProgressMonitor())
    volume.write_bytes(content[:40])
    with pytest.raises(InputError, match="is damaged"):
        open_session(folder, ProgressMonitor())
    volume.unlink()
    with pytest.raises(InputError, match="is missing from the saved session"):
        open_session(folder, ProgressMonitor())
    fields = json.loads((folder / "session.json").read_text())
    for change in ({"format_version": 99}, {"sources": "none"}, {"surprise": 1}):
        (folder / "session.json").write_text(json.dumps(fields | change))
        with pytest.raises(InputError, match=f"{next(iter(change))}.*another version"):
            open_session(folder, ProgressMonitor())
    with pytest.raises(InputError, match="no session to be read"):
        open_session(tmp_path, ProgressMonitor())


def test_a_session_cannot_name_files_elsewhere(saved: tuple[SessionSnapshot, Path]) -> None:
    folder = saved[1]
    text = (folder / "session.json").read_text()
    name = next(folder.glob("corrected-*")).name
    (folder / "session.json").write_text(text.replace(name, f"../../{name}"))
    with pytest.raises(InputError, match="damaged"):
        open_session(folder, ProgressMonitor())


def test_a_checkpoint_that_is_gone_is_told(tmp_path: Path, tiny_checkpoint_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copy(tiny_checkpoint_path, own)
    state = made_state(tmp_path / "case", GRID, load_checkpoint(own))
    save_session(tmp_path / "session", state, ProgressMonitor())
    own.unlink()
    told: list[str] = []
    again = open_session(tmp_path / "session", ProgressMonitor(notify=told.append))
    assert again.checkpoint is None
    assert "is missing" in told[0]
    assert_same_run(state.runs[0], again.runs[0])


def test_a_cancelled_save_leaves_the_session_before(saved: tuple[SessionSnapshot, Path]) -> None:
    state, folder = saved
    monitor = ProgressMonitor()
    monitor.stop.set()
    changed = SessionSnapshot(**{**vars(state), "device": "auto"})
    with pytest.raises(CancelledError):
        save_session(folder, changed, monitor)
    assert_same(state, open_session(folder, ProgressMonitor()))


def test_a_dicom_case_is_found_again_and_referred_to(
    tmp_path: Path, tiny_checkpoint: Checkpoint
) -> None:
    for number, (name, description) in enumerate({"a": "t1 mpr", "b": "t2 flair"}.items(), 1):
        folder, values = tmp_path / "dicom" / name, positions(GRID) + 1
        write_series(folder, GRID, values, number=number, SeriesDescription=description)
    found = discover_volumes(tmp_path / "dicom")
    sources = dict(zip(("T1", "FLAIR"), found.sources, strict=True))
    case = load_case(sources, name=found.name, reference="FLAIR")
    state = SessionSnapshot(
        discovered=found,
        modalities=("T1", "FLAIR"),
        case=case,
        request=SegmentationRequest(PRESETS["fig3"]),
        checkpoint=tiny_checkpoint.path,
        device="cpu",
        runs=[],
        current=None,
        corrections=[],
    )
    save_session(tmp_path / "session", state, ProgressMonitor())
    assert_same(state, open_session(tmp_path / "session", ProgressMonitor()))
    files = source_series(case)
    assert len(files) == GRID.size[2]
    labels = np.zeros(case.grid.shape, np.uint8)
    labels[4:8, 4:8, 4:8] = 2
    made = SegmentationProvenance(PRESETS["brats2020"], "0" * 64)
    path = write_dicom_seg(tmp_path / "seg.dcm", labels, case.grid, files, made)
    assert np.count_nonzero(pydicom.dcmread(path).pixel_array) == 64
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-2] + b"\x07\x07")
    with pytest.raises(InputError, match="has changed since the session was saved"):
        open_session(tmp_path / "session", ProgressMonitor())

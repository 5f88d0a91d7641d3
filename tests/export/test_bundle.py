"""Files on the native grid, and tables, as they are chosen."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from helpers.cases import write_case
from helpers.dicom_series import AXIAL, write_series
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.geometry import Grid, reorient
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.explanation.explain import explain
from napari_ciml.export.bundle import KINDS, ExportInput, ExportOptions, export_results
from napari_ciml.inference.segment import segment
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

GRID = Grid((32, 36, 40), (3.0, 3.0, 3.0), (-50.0, -50.0, -40.0))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case whose files are stored the other way round."""
    folder = write_case(tmp_path / "case", GRID)
    for path in folder.iterdir():
        sitk.WriteImage(reorient(sitk.ReadImage(str(path)), "RAS"), str(path))
    return open_case(folder)


@pytest.fixture
def results(case: Case, tiny_checkpoint: Checkpoint) -> ExportInput:
    segmentation = segment(case, tiny_checkpoint)
    labels = np.zeros(case.grid.shape, np.uint8)
    labels[10:20, 20:30, 10:20] = 4
    return ExportInput(case, segmentation, labels, explain(case, tiny_checkpoint, segmentation))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_volumes_lie_on_the_native_grid(results: ExportInput, tmp_path: Path, suffix: str) -> None:
    wish = ExportOptions(frozenset({"labels", "probabilities", "maps"}), suffix)
    paths = export_results(tmp_path, results, wish, ProgressMonitor())
    assert len(paths) == 1 + 3 + 18
    native = sitk.ReadImage(str(results.case.sources["FLAIR"].path))
    for path in paths:
        image = sitk.ReadImage(str(path))
        assert Grid.of(image).is_close(Grid.of(native))
    back = reorient(sitk.ReadImage(str(tmp_path / f"segmentation{suffix}")), "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), results.labels)


def test_tables_tell_the_label_map_as_it_is_and_as_it_was(
    results: ExportInput, tmp_path: Path
) -> None:
    more = ExportInput(results.case, results.segmentation, results.labels)
    paths = export_results(tmp_path, more, ExportOptions(frozenset({"tables"})), ProgressMonitor())
    assert {path.name for path in paths} == {"volumes.csv", "summary.json", "lesions.csv"}
    with (tmp_path / "volumes.csv").open() as file:
        table = list(csv.DictReader(file))
    # A thousand voxels of 27 cubic millimetres.
    assert [row["volume_ml"] for row in table] == ["27.0", "27.0", "27.0"]
    computed = results.segmentation.volumes_ml["WT"]
    assert float(table[0]["computed_ml"]) == pytest.approx(computed, abs=1e-3)


def test_lesions_as_a_table(results: ExportInput, tmp_path: Path) -> None:
    labels = np.zeros(results.case.grid.shape, np.uint8)
    labels[10:14, 20:30, 12:17] = 2
    labels[25, 5, 6] = 2
    more = ExportInput(results.case, results.segmentation, labels)
    export_results(tmp_path, more, ExportOptions(frozenset({"tables"})), ProgressMonitor())
    with (tmp_path / "lesions.csv").open() as file:
        table = list(csv.DictReader(file))
    # The speck comes first: it has one reason more to be looked at.
    assert [row["region"] for row in table] == ["WT", "WT"]
    speck, large = table
    assert [speck[f"{axis}_mm"] for axis in "xyz"] == ["-32.0", "-35.0", "35.0"]
    assert float(speck["volume_ml"]) == 0.027
    assert "smaller than 0.1 mL" in speck["reasons"]
    assert float(large["volume_ml"]) == 4 * 10 * 5 * 0.027
    # From corner to corner of 15 x 30 mm.
    assert float(large["longest_mm"]) == round(float(np.hypot(15, 30)), 1)
    mean = float(results.segmentation.probabilities["WT"][10:14, 20:30, 12:17].mean())
    assert float(large["probability"]) == pytest.approx(mean, abs=6e-4)
    assert large["seen_by"].startswith("FLAIR ")
    assert "; T2 " in large["seen_by"]


def test_volumes_lie_on_the_voxels_of_the_modality_that_is_chosen(
    tmp_path: Path, tiny_checkpoint: Checkpoint
) -> None:
    folder = write_case(tmp_path / "case", GRID)
    coarse = Grid((16, 20, 40), (6.0, 5.4, 3.0), (-48.5, -48.8, -40.0))
    (folder / "case_t2.nii.gz").unlink()
    write_case(folder, coarse, names="t2")
    case = open_case(folder)
    results = ExportInput(case, segment(case, tiny_checkpoint), np.ones(case.grid.shape, np.uint8))
    kinds = frozenset({"labels", "probabilities", "tables"})
    for grid, expected in (("T2", coarse), (None, case.native_grid)):
        out = tmp_path / str(grid)
        out.mkdir()
        for path in export_results(
            out, results, ExportOptions(kinds, grid=grid), ProgressMonitor()
        ):
            if path.name.endswith(".nii.gz"):
                assert Grid.of(sitk.ReadImage(str(path))).is_close(expected), path.name
        told = json.loads((out / "summary.json").read_text())
        assert told["grid_modality"] == (grid or case.reference)
        assert told["grid"] == expected.describe()


def test_a_dicom_seg_needs_a_series(results: ExportInput, tmp_path: Path) -> None:
    series = write_series(tmp_path / "series", AXIAL)
    wish = ExportOptions(frozenset({"dicom-seg"}), series=series)
    (path,) = export_results(tmp_path, results, wish, ProgressMonitor())
    assert path.name == "segmentation.dcm"
    with pytest.raises(InputError, match="name its folder"):
        export_results(
            tmp_path, results, ExportOptions(frozenset({"dicom-seg"})), ProgressMonitor()
        )


def test_cancel_leaves_no_half_file(results: ExportInput, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monitor = ProgressMonitor()

    def report(progress: object) -> None:
        if "probability" in progress.stage:
            monitor.stop.set()

    stopping = ProgressMonitor(report, stop=monitor.stop)
    with pytest.raises(CancelledError):
        export_results(out, results, ExportOptions(frozenset(KINDS)), stopping)
    names = {path.name for path in out.iterdir()}
    assert "segmentation.nii.gz" in names
    assert not any(name.startswith(".") for name in names)
    assert "report.pdf" not in names

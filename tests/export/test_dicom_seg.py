"""DICOM SEG, read back frame by frame with nothing but pydicom."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from helpers.dicom_files import positions, write_enhanced
from helpers.dicom_series import AXIAL, OBLIQUE, SAGITTAL, write_series
from napari_ciml.cases.geometry import Grid, reorient
from napari_ciml.decomposition.model import Decomposition, Region, Subtask
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import InputError
from napari_ciml.export.dicom_seg import SegmentationProvenance, property_type, write_dicom_seg
from napari_ciml.progress import ProgressMonitor

MADE = SegmentationProvenance(PRESETS["brats2020"], "0" * 64)


def painted(paths: list[Path], seed: int = 0) -> dict[str, np.ndarray]:
    """Return random labels for every image, by its UID."""
    rng = np.random.default_rng(seed)
    return {
        pydicom.dcmread(path).SOPInstanceUID: rng.choice([0, 1, 2, 4], (10, 12)).astype(np.uint8)
        for path in paths
    }


def as_case_labels(paths: list[Path], labels: dict[str, np.ndarray]) -> tuple[np.ndarray, Grid]:
    """Stack the labels in the order of the files, and turn them to LPS as a case has them."""
    import SimpleITK as sitk

    first, last = (pydicom.dcmread(path) for path in (paths[0], paths[-1]))
    row, column = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    span = np.array(last.ImagePositionPatient, float) - np.array(first.ImagePositionPatient, float)
    image = sitk.GetImageFromArray(np.stack(list(labels.values())))
    image.SetSpacing((0.75, 1.5, float(np.linalg.norm(span)) / 6))
    image.SetOrigin([float(mm) for mm in first.ImagePositionPatient])
    axes = np.stack([row, column, span / np.linalg.norm(span)], axis=1)
    image.SetDirection(axes.ravel().tolist())
    turned = reorient(image, "LPS")
    return sitk.GetArrayFromImage(turned), Grid.of(turned)


@pytest.mark.parametrize(
    "cosines", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"]
)
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_another_reader_finds_every_voxel_where_it_was(
    tmp_path: Path, cosines: tuple[float, ...], step: float
) -> None:
    paths = write_series(tmp_path / "series", cosines, step)
    labels = painted(paths)
    array, grid = as_case_labels(paths, labels)
    told: list[str] = []
    write_dicom_seg(
        tmp_path / "seg.dcm", array, grid, paths, MADE, ProgressMonitor(notify=told.append)
    )
    assert not told

    seg, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(paths[0])
    assert seg.Modality == "SEG"
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    (referred,) = seg.ReferencedSeriesSequence
    assert referred.SeriesInstanceUID == source.SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in referred.ReferencedInstanceSequence} == set(
        labels
    )
    values = {1: 1, 2: 2, 3: 4}
    back = {uid: np.zeros((10, 12), np.uint8) for uid in labels}
    places = {pydicom.dcmread(p).SOPInstanceUID: pydicom.dcmread(p) for p in paths}
    for frame, item in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        uid = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        place = item.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, places[uid].ImagePositionPatient, atol=1e-6)
        back[uid][frame > 0] = values[number]
    for uid, expected in labels.items():
        np.testing.assert_array_equal(back[uid], expected)
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [1.5, 0.75]
    cosines_back = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(cosines_back, source.ImageOrientationPatient, atol=1e-9)


def test_a_multi_frame_series_is_referred_to_frame_by_frame(tmp_path: Path) -> None:
    """Its frames lie in the file from the last slice to the first."""
    grid = Grid((12, 10, 7), (0.75, 1.5, 2.5), (-20.0, 14.0, 3.0))
    file = write_enhanced(tmp_path / "enhanced.dcm", grid, positions(grid))
    labels = np.random.default_rng(0).choice([0, 1, 2, 4], grid.shape).astype(np.uint8)
    told: list[str] = []
    write_dicom_seg(
        tmp_path / "seg.dcm", labels, grid, [file], MADE, ProgressMonitor(notify=told.append)
    )
    assert not told

    seg, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(file)
    (referred,) = seg.ReferencedSeriesSequence
    assert referred.SeriesInstanceUID == source.SeriesInstanceUID
    back = np.zeros(grid.shape, np.uint8)
    for frame, item in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        (image,) = item.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        place = item.PlanePositionSequence[0].ImagePositionPatient
        number = image.ReferencedFrameNumber
        own = source.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0]
        np.testing.assert_allclose(place, own.ImagePositionPatient, atol=1e-6)
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        back[round((float(place[2]) - 3) / 2.5)][frame > 0] = {1: 1, 2: 2, 3: 4}[segment]
    np.testing.assert_array_equal(back, labels)

    volume = hd.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    np.testing.assert_allclose(sorted(volume.spacing), sorted(grid.spacing))


def test_frames_of_several_times_are_refused(tmp_path: Path) -> None:
    grid = Grid((12, 10, 4), (0.75, 1.5, 2.5), (-20.0, 14.0, 3.0))
    file = write_enhanced(tmp_path / "enhanced.dcm", grid, positions(grid), times=2)
    labels, out = np.ones(grid.shape, np.uint8), tmp_path / "seg.dcm"
    with pytest.raises(InputError, match="several frames at one position"):
        write_dicom_seg(out, labels, grid, [file], MADE)
    other = write_enhanced(tmp_path / "other.dcm", grid, positions(grid))
    with pytest.raises(InputError, match="exactly one"):
        write_dicom_seg(out, labels, grid, [file, other], MADE)
    made = pydicom.dcmread(other)
    del made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    with pytest.raises(InputError, match="lacks PixelSpacing"):
        write_dicom_seg(out, labels, grid, [made], MADE)
    assert not out.exists()


def test_segments_have_coded_names_and_say_who_made_them(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "series", AXIAL)
    array, grid = as_case_labels(paths, painted(paths))
    corrected = SegmentationProvenance(PRESETS["brats2020"], "a" * 64, corrected=True)
    write_dicom_seg(tmp_path / "seg.dcm", array, grid, list(reversed(paths)), corrected)
    segments = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    coded = [
        (s.SegmentLabel, kind.CodeValue, kind.CodingSchemeDesignator)
        for s in segments
        for kind in s.SegmentedPropertyTypeCodeSequence
    ]
    assert coded == [
        ("TC in WT", "6574001", "SCT"),
        ("WT", "79654002", "SCT"),
        ("ET in TC in WT", "C113842", "NCIt"),
    ]
    assert {s.SegmentAlgorithmType for s in segments} == {"SEMIAUTOMATIC"}
    assert segments[0].SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"


def test_what_a_value_stands_for_depends_on_what_is_inside_it() -> None:
    whole = Decomposition(
        name="core",
        modalities=("T1",),
        regions=(Region(name="TC", labels=(1, 4), colour="#ff0000"),),
        subtasks=(Subtask(primary=("T1",), regions=("TC",)),),
    )
    assert property_type(1, whole) == "Neoplasm"
    assert property_type(1, PRESETS["autopet"]) == "Lesion"
    assert property_type(2, PRESETS["hecktor2022"]) == "NeoplasmSecondary"


def test_a_label_map_on_another_grid_takes_the_nearest_voxels_and_says_so(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "series", AXIAL)
    array, grid = as_case_labels(paths, painted(paths))
    half = Grid(
        tuple(2 * n for n in grid.size),
        tuple(mm / 2 for mm in grid.spacing),
        tuple(o - mm / 4 for o, mm in zip(grid.origin, grid.spacing, strict=True)),
    )
    fine = array.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    told: list[str] = []
    write_dicom_seg(tmp_path / "a.dcm", array, grid, paths, MADE)
    write_dicom_seg(
        tmp_path / "b.dcm", fine, half, paths, MADE, ProgressMonitor(notify=told.append)
    )
    assert "nearest neighbour" in told[0]
    a, b = (pydicom.dcmread(tmp_path / name).pixel_array for name in ("a.dcm", "b.dcm"))
    np.testing.assert_array_equal(a, b)


def test_what_cannot_be_referred_to_is_one_sentence(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "series", AXIAL)
    array, grid = as_case_labels(paths, painted(paths))
    far = Grid(grid.size, grid.spacing, (900.0, 900.0, 900.0))
    out = tmp_path / "seg.dcm"
    with pytest.raises(InputError, match="does not overlap"):
        write_dicom_seg(out, array, far, paths, MADE)
    with pytest.raises(InputError, match="nothing is segmented"):
        write_dicom_seg(out, np.zeros_like(array), grid, paths, MADE)
    with pytest.raises(InputError, match="not evenly spaced"):
        write_dicom_seg(out, array, grid, [*paths[:3], *paths[4:]], MADE)
    other = write_series(tmp_path / "other", AXIAL)
    with pytest.raises(InputError, match="exactly one"):
        write_dicom_seg(out, array, grid, [*paths, *other], MADE)
    (tmp_path / "x.dcm").write_bytes(b"no dicom")
    with pytest.raises(InputError, match="not a readable DICOM"):
        write_dicom_seg(out, array, grid, [tmp_path / "x.dcm"], MADE)
    without = pydicom.dcmread(paths[0])
    del without.FrameOfReferenceUID
    with pytest.raises(InputError, match="lacks FrameOfReferenceUID"):
        write_dicom_seg(out, array, grid, [without], MADE)
    assert not out.exists()

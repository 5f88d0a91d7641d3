"""DICOM series made on the fly: files of one slice each, and enhanced multi-frame ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_ciml.cases.geometry import Grid

STORAGE = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
ENHANCED = {
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}
STUDY, FRAME = generate_uid(), generate_uid()

PET = {
    "Units": "BQML",
    "CorrectedImage": ["ATTN", "DECY"],
    "DecayCorrection": "START",
    "PatientWeight": 75.0,
    "SeriesDate": "20240131",
    "SeriesTime": "100000",
    "AcquisitionDate": "20240131",
    "AcquisitionTime": "100000",
}
TRACER = {
    "RadionuclideTotalDose": 300e6,
    "RadionuclideHalfLife": 6586.2,
    "RadiopharmaceuticalStartTime": "090000",
}


def positions(grid: Grid) -> np.ndarray:
    """Return a volume whose voxels name their own position: (Z, Y, X) int16."""
    z, y, x = np.indices(grid.shape)
    return (z * 400 + y * 20 + x).astype(np.int16)


def common(modality: str, grid: Grid, number: int, tags: dict[str, Any]) -> Dataset:
    """Return the tags that every file of a series has."""
    made = Dataset()
    made.PatientName, made.PatientID = "Muster^Erika", "P-471142"
    made.StudyInstanceUID, made.FrameOfReferenceUID = STUDY, FRAME
    made.SeriesInstanceUID = generate_uid()
    made.StudyDate = "20240131"
    made.Modality, made.SeriesNumber = modality, number
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.Columns, made.Rows, _ = grid.size
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def tracer(**changes: Any) -> Sequence:
    """Return a RadiopharmaceuticalInformationSequence."""
    item = Dataset()
    for keyword, value in (TRACER | changes).items():
        if value is not None:
            setattr(item, keyword, value)
    return Sequence([item])


def write_series(
    folder: Path,
    grid: Grid,
    values: np.ndarray,
    modality: str = "MR",
    number: int = 1,
    slopes: np.ndarray | None = None,
    shear: tuple[float, float] = (0.0, 0.0),
    shuffled: bool = True,
    private: dict[tuple[int, int], tuple[str, Any]] | None = None,
    **tags: Any,
) -> list[Path]:
    """Write a volume as files of one slice each, named so that their order says nothing.

    Parameters
    ----------
    grid : Grid
        Of the volume; directions are the planes' own.
    values : numpy.ndarray
        Stored values, (Z, Y, X) int16.
    slopes : numpy.ndarray, optional
        RescaleSlope of each slice.
    shear : tuple of float
        In mm along x and y, from each slice to the next: a tilted gantry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = common(modality, grid, number, tags)
    axes = np.reshape(grid.direction, (3, 3))
    order = np.random.default_rng(number).permutation(len(values))
    paths = []
    for k in range(len(values)):
        made = Dataset()
        made.update(shared)
        made.SOPClassUID, made.SOPInstanceUID = STORAGE[modality], generate_uid()
        made.InstanceNumber = int(k + 1)
        made.ImagePositionPatient = strings(grid.world((0, 0, k)) + axes[:, :2] @ shear * k)
        made.ImageOrientationPatient = strings(axes[:, :2].T.ravel())
        made.PixelSpacing = strings((grid.spacing[1], grid.spacing[0]))
        made.SliceThickness = strings((grid.spacing[2],))[0]
        if slopes is not None:
            made.RescaleSlope, made.RescaleIntercept = strings((slopes[k],))[0], "0"
        for tag, (vr, value) in (private or {}).items():
            made.add_new(tag, vr, value)
        name = f"IM{order[k] if shuffled else k:05d}.{number}"
        paths.append(save(made, folder / name, values[k]))
    return paths


def write_enhanced(
    path: Path,
    grid: Grid,
    values: np.ndarray,
    modality: str = "MR",
    number: int = 1,
    slopes: np.ndarray | None = None,
    times: int = 1,
    **tags: Any,
) -> Path:
    """Write a volume as one enhanced multi-frame file, its frames from the last to the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = common(modality, grid, number, tags)
    made.SOPClassUID, made.SOPInstanceUID = ENHANCED[modality], generate_uid()
    axes = np.reshape(grid.direction, (3, 3))
    shared = Dataset()
    shared.PlaneOrientationSequence = one(ImageOrientationPatient=strings(axes[:, :2].T.ravel()))
    shared.PixelMeasuresSequence = one(
        PixelSpacing=strings((grid.spacing[1], grid.spacing[0])),
        SliceThickness=strings((grid.spacing[2],))[0],
    )
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    order = [(t, k) for t in range(times) for k in reversed(range(len(values)))]
    for t, k in order:
        frame = Dataset()
        frame.PlanePositionSequence = one(ImagePositionPatient=strings(grid.world((0, 0, k))))
        frame.FrameContentSequence = one(TemporalPositionIndex=t + 1)
        slope = 1.0 if slopes is None else slopes[k]
        frame.PixelValueTransformationSequence = one(
            RescaleSlope=strings((slope,))[0], RescaleIntercept="0", RescaleType="US"
        )
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    made.NumberOfFrames = len(frames)
    return save(made, path, np.stack([values[k] for _, k in order]))


def one(**tags: Any) -> Sequence:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return Sequence([item])


def strings(numbers: Any) -> list[str]:
    """Write numbers as DICOM's decimal strings, at most 16 characters."""
    return [f"{float(number):.10g}"[:16] for number in numbers]


def save(made: Dataset, path: Path, values: np.ndarray) -> Path:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.PixelData = values.astype(np.int16).tobytes()
    made["PixelData"].VR = "OW"
    made.save_as(path, enforce_file_format=True)
    return path


def pack(path: Path, compressor: str) -> None:
    """Pack the voxels of a file without loss as GDCM does: ``JPEG`` or ``JPEG2000``."""
    whole, packed = pydicom.dcmread(path), path.with_name(".packed.dcm")
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(packed))
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    other = pydicom.dcmread(packed)
    packed.unlink()
    whole.PixelData = other.PixelData
    whole["PixelData"].VR = "OB"
    whole.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
    whole.save_as(path)

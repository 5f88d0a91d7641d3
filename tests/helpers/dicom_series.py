"""Small DICOM series to refer to."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import MRImageStorage, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (
    0.9659258262890683,
    0.2588190451025208,
    0.0,
    -0.2241438680420134,
    0.8365163037378079,
    0.5,
)


def write_series(folder: Path, cosines: tuple[float, ...], step: float = 2.5) -> list[Path]:
    """Write seven slices of 10 rows and 12 columns; a negative step stores them the other way."""
    folder.mkdir(parents=True)
    normal = np.cross(cosines[:3], cosines[3:])
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for k in range(7):
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.PatientID, one.PatientName, one.PatientBirthDate = "P", "Doe^Jane", ""
        one.PatientSex = one.AccessionNumber = one.StudyID = one.ReferringPhysicianName = ""
        one.StudyDate, one.StudyTime, one.Modality = "20200101", "120000", "MR"
        one.SeriesNumber, one.InstanceNumber = 1, k + 1
        one.Rows, one.Columns, one.PixelSpacing, one.SliceThickness = 10, 12, [1.5, 0.75], 2.5
        one.ImageOrientationPatient = [f"{c:.12f}"[:16] for c in cosines]
        place = np.array([-20.0, 13.0, 7.5]) + k * step * normal
        one.ImagePositionPatient = [f"{mm:.10f}"[:16] for mm in place]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.PixelData = np.full((10, 12), k, np.uint16).tobytes()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        paths.append(folder / f"{k}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths

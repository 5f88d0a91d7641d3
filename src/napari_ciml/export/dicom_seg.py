"""DICOM Segmentation objects that refer to the series they were made from.

The object belongs to the patient of its source series, as DICOM has it: whoever asks for it asks
for the patient's name and identifier in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ciml import __version__
from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.export.dicom_series import EVEN, highdicom, read_series
from napari_ciml.files import atomic_write
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class SegmentationProvenance:
    """How a label map was made.

    Parameters
    ----------
    decomposition : Decomposition
        Whose regions its values stand for.
    checkpoint : str
        SHA-256 of the checkpoint.
    corrected : bool
        Whether a person has painted on it.
    """

    decomposition: Decomposition
    checkpoint: str
    corrected: bool = False


def write_dicom_seg(
    path: Path,
    labels: np.ndarray,
    grid: Grid,
    series: Sequence["Dataset | Path"],
    made: SegmentationProvenance,
    monitor: ProgressMonitor | None = None,
) -> Path:
    """Write a label map as one binary segment for each of its values.

    Parameters
    ----------
    path : pathlib.Path
        The ``.dcm`` file.
    labels : numpy.ndarray
        (Z, Y, X) on ``grid``.
    grid : Grid
        Where it lies. If the series has another one, the nearest voxels are taken.
    series : sequence of pydicom.Dataset or pathlib.Path
        The source series: single-frame images in any order, or one multi-frame image.
    made : Made
        Goes into the object.
    monitor : Monitor, optional
        Told of the steps, and if the grid is another one.

    Raises
    ------
    InputError
        If highdicom is not installed, the series has no even geometry, does not overlap the
        label map, or nothing is segmented on it.
    """
    hd = highdicom()
    monitor = monitor or ProgressMonitor()
    if not series:
        raise InputError("DICOM SEG refers to a DICOM series; name its folder.")
    monitor.step("Writing DICOM SEG")
    source = read_series(series)
    own = source.grid
    if not own.overlaps(grid):
        raise InputError(f"{path}: the series does not overlap the label map; choose another.")
    if not _same_voxels(own, grid):
        monitor.notify(
            f"The label map ({grid.describe()}) was brought onto the series ({own.describe()}) "
            "by the nearest voxel for DICOM SEG."
        )
    placed = resample(labels, grid, own, labels=True)
    values = [int(value) for value in np.unique(placed) if value]
    if not values:
        raise InputError(f"{path}: nothing is segmented; DICOM SEG has no empty segments.")
    numbered = np.searchsorted([0, *values], placed).astype(np.uint8)
    monitor.step("Writing DICOM SEG")
    try:
        made_of = hd.seg.Segmentation(
            source_images=source.images,
            pixel_array=numbered[source.slices],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_segments(values, made),
            series_instance_uid=hd.UID(),
            series_number=1000,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="napari-ciml",
            manufacturer_model_name="napari-ciml",
            software_versions=__version__,
            device_serial_number=made.checkpoint or "none",
            content_label="CIML",
            content_description="Segmentation; not a medical device",
        )
    except (AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: the source series cannot be referred to ({error}).") from error
    with atomic_write(path) as temporary:
        made_of.save_as(temporary)
    return path


def _same_voxels(a: Grid, b: Grid) -> bool:
    """Whether two grids have the same voxels, whatever the order of their axes."""
    last = tuple(n - 1 for n in a.size)
    ends = np.array([b.index(a.world(corner)) for corner in ((0, 0, 0), last)])
    whole = np.abs(ends - np.rint(ends)).max() < EVEN
    return bool(whole and np.allclose(sorted(a.spacing), sorted(b.spacing), rtol=1e-3))


def _segments(values: Sequence[int], made: SegmentationProvenance) -> list[Any]:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="CIML",
        family=codes.DCM.ArtificialIntelligence,
        version=__version__,
        source="napari-ciml",
        parameters={"decomposition": made.decomposition.name, "checkpoint": made.checkpoint},
    )
    kinds = hd.seg.SegmentAlgorithmTypeValues
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment_name(value, made.decomposition),
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=getattr(
                codes.cid7159, property_type(value, made.decomposition)
            ),
            algorithm_type=kinds.SEMIAUTOMATIC if made.corrected else kinds.AUTOMATIC,
            algorithm_identification=algorithm,
            display_color=_colour(value, made.decomposition),
        )
        for number, value in enumerate(values, 1)
    ]


def segment_name(value: int, whole: Decomposition) -> str:
    """Return what a label value is called: the regions it belongs to, from the inside out."""
    inside_out = sorted(whole.regions, key=lambda r: len(r.labels))
    names = [region.name for region in inside_out if value in region.labels]
    return " in ".join(names) or f"label {value}"


def property_type(value: int, whole: Decomposition) -> str:
    """Return the keyword of what a label value stands for, in DICOM's context group 7159."""
    inside = {region.name for region in whole.regions if value in region.labels}
    there = set(whole.region_names)
    if "ET" in inside:
        return "EnhancingLesion"
    if "TC" in inside:
        return "Necrosis" if "ET" in there else "Neoplasm"
    if "WT" in inside:
        return "Edema" if "TC" in there else "Neoplasm"
    return "NeoplasmSecondary" if "GTVn" in inside else "Lesion"


def _colour(value: int, whole: Decomposition) -> Any:
    import highdicom as hd

    inside_out = sorted(whole.regions, key=lambda r: len(r.labels))
    found = next((region.colour for region in inside_out if value in region.labels), "#ffffff")
    return hd.color.CIELabColor.from_rgb(*(int(found[k : k + 2], 16) for k in (1, 3, 5)))

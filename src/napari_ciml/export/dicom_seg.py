"""DICOM Segmentation objects that refer to their source series.

As DICOM requires, the object contains the name and identifier of the patient in the source series.
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
    """Provenance of a label map.

    Parameters
    ----------
    decomposition : Decomposition
        Decomposition whose regions define the label values.
    checkpoint : str
        SHA-256 of the checkpoint.
    corrected : bool
        Whether the label map was edited manually.
    """

    decomposition: Decomposition
    checkpoint: str
    corrected: bool = False


def write_dicom_seg(
    path: Path,
    labels: np.ndarray,
    grid: Grid,
    series: Sequence["Dataset | Path"],
    provenance: SegmentationProvenance,
    monitor: ProgressMonitor | None = None,
) -> Path:
    """Write a label map with one binary segment per label value.

    Parameters
    ----------
    path : pathlib.Path
        The ``.dcm`` file.
    labels : numpy.ndarray
        Label map on ``grid``, (Z, Y, X).
    grid : Grid
        Grid of the label map. If that of the series differs, the label map is resampled by nearest
        neighbour.
    series : sequence of pydicom.Dataset or pathlib.Path
        Source series: single-frame images in any order, or one multi-frame image.
    provenance : SegmentationProvenance
        Regions, checkpoint and algorithm type of the segments.
    monitor : ProgressMonitor, optional
        Receives the steps, and a notice if the label map is resampled.

    Raises
    ------
    InputError
        If highdicom is not installed, the slices of the series are not evenly spaced, the series
        does not overlap with the label map, or nothing is segmented on it.
    """
    hd = highdicom()
    monitor = monitor or ProgressMonitor()
    if not series:
        raise InputError("DICOM SEG refers to a DICOM series; name its folder.")
    monitor.step("Writing DICOM SEG")
    source = read_series(series)
    series_grid = source.grid
    if not series_grid.overlaps(grid):
        raise InputError(f"{path}: the series does not overlap the label map; choose another.")
    if not _has_same_voxels(series_grid, grid):
        monitor.notify(
            f"The label map ({grid.describe()}) was resampled by nearest neighbour onto the series "
            f"({series_grid.describe()}) for DICOM SEG."
        )
    resampled = resample(labels, grid, series_grid, labels=True)
    values = [int(value) for value in np.unique(resampled) if value]
    if not values:
        raise InputError(f"{path}: nothing is segmented; DICOM SEG has no empty segments.")
    numbers = np.searchsorted([0, *values], resampled).astype(np.uint8)
    monitor.step("Writing DICOM SEG")
    try:
        segmentation = hd.seg.Segmentation(
            source_images=source.images,
            pixel_array=numbers[source.slices],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_segments(values, provenance),
            series_instance_uid=hd.UID(),
            series_number=1000,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="napari-ciml",
            manufacturer_model_name="napari-ciml",
            software_versions=__version__,
            device_serial_number=provenance.checkpoint or "none",
            content_label="CIML",
            content_description="Segmentation; not a medical device",
        )
    except (AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: the source series cannot be referred to ({error}).") from error
    with atomic_write(path) as temporary:
        segmentation.save_as(temporary)
    return path


def _has_same_voxels(a: Grid, b: Grid) -> bool:
    """Return whether two grids have the same voxels, in any order of axes."""
    last = tuple(n - 1 for n in a.size)
    ends = np.array([b.index(a.world(corner)) for corner in ((0, 0, 0), last)])
    is_aligned = np.abs(ends - np.rint(ends)).max() < EVEN
    return bool(is_aligned and np.allclose(sorted(a.spacing), sorted(b.spacing), rtol=1e-3))


def _segments(values: Sequence[int], provenance: SegmentationProvenance) -> list[Any]:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="CIML",
        family=codes.DCM.ArtificialIntelligence,
        version=__version__,
        source="napari-ciml",
        parameters={
            "decomposition": provenance.decomposition.name,
            "checkpoint": provenance.checkpoint,
        },
    )
    kinds = hd.seg.SegmentAlgorithmTypeValues
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment_name(value, provenance.decomposition),
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=getattr(
                codes.cid7159, property_type(value, provenance.decomposition)
            ),
            algorithm_type=kinds.SEMIAUTOMATIC if provenance.corrected else kinds.AUTOMATIC,
            algorithm_identification=algorithm,
            display_color=_colour(value, provenance.decomposition),
        )
        for number, value in enumerate(values, 1)
    ]


def segment_name(value: int, decomposition: Decomposition) -> str:
    """Return the name of a label value: its regions, the innermost first."""
    inside_out = sorted(decomposition.regions, key=lambda r: len(r.labels))
    names = [region.name for region in inside_out if value in region.labels]
    return " in ".join(names) or f"label {value}"


def property_type(value: int, decomposition: Decomposition) -> str:
    """Return the keyword of a label value's property type in DICOM context group 7159."""
    regions = {region.name for region in decomposition.regions if value in region.labels}
    if "ET" in regions:
        return "EnhancingLesion"
    if "TC" in regions:
        return "Necrosis" if "ET" in decomposition.region_names else "Neoplasm"
    if "WT" in regions:
        return "Edema" if "TC" in decomposition.region_names else "Neoplasm"
    return "NeoplasmSecondary" if "GTVn" in regions else "Lesion"


def _colour(value: int, decomposition: Decomposition) -> Any:
    import highdicom as hd

    inside_out = sorted(decomposition.regions, key=lambda r: len(r.labels))
    colour = next((region.colour for region in inside_out if value in region.labels), "#ffffff")
    return hd.color.CIELabColor.from_rgb(*(int(colour[k : k + 2], 16) for k in (1, 3, 5)))

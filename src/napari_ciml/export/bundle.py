"""Export the results of a case: files of the chosen kinds, in one folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.writing import resample_to_modality, write_on_native_grid
from napari_ciml.explanation.result import Explanation
from napari_ciml.export.dicom_seg import SegmentationProvenance, write_dicom_seg
from napari_ciml.export.report import ReportContext, compose_report
from napari_ciml.export.report_html import write_report_html
from napari_ciml.export.report_page import write_report_pdf
from napari_ciml.export.results import labels_at, lesion_rows, weights_csv, write_summary
from napari_ciml.files import write_table, write_text
from napari_ciml.inference.result import Segmentation
from napari_ciml.lesions import Inventory, detect_lesions
from napari_ciml.parallel import map_in_threads
from napari_ciml.progress import ProgressMonitor

Key = TypeVar("Key")

Kind = Literal["labels", "probabilities", "maps", "tables", "report", "dicom-seg"]

KINDS: dict[Kind, str] = {
    "labels": "Label map",
    "probabilities": "Probabilities",
    "maps": "Complementary-information maps",
    "tables": "Tables (CSV) and summary",
    "report": "Report (HTML and PDF)",
    "dicom-seg": "DICOM SEG",
}
"""Kinds of files, and their labels."""

FORMATS = (".nii.gz", ".nrrd")


@dataclass(frozen=True)
class ExportInput:
    """Results of a case.

    Parameters
    ----------
    case : Case
        The case.
    segmentation : Segmentation
        Its segmentation.
    labels : numpy.ndarray
        Present label map, possibly edited, (Z, Y, X) on the case grid.
    explanation : Explanation or None
        Explanation of the segmentation, if there is one.
    context : ReportContext
        Further content of the report; ``corrected`` applies to all files.
    """

    case: Case
    segmentation: Segmentation
    labels: np.ndarray
    explanation: Explanation | None = None
    context: ReportContext = field(default_factory=ReportContext)


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Parameters
    ----------
    kinds : frozenset of str
        Keys of `KINDS`.
    suffix : str
        File suffix of volumes, one of `FORMATS`.
    series : sequence of pathlib.Path
        Files of the series that DICOM SEG refers to; by default that of the reference modality.
    grid : str, optional
        Modality on whose native grid volumes are written; by default the reference. DICOM SEG is
        written on the grid of its series; report and tables refer to the case grid.
    """

    kinds: frozenset[Kind]
    suffix: str = ".nii.gz"
    series: Sequence[Path] = ()
    grid: str | None = None


def export_results(
    folder: Path, results: ExportInput, options: ExportOptions, monitor: ProgressMonitor
) -> list[Path]:
    """Write the requested kinds of files; those without content are left out.

    Parameters
    ----------
    folder : pathlib.Path
        Existing, writable folder.
    results : ExportInput
        Results to write.
    options : ExportOptions
        Kinds, format and grid.
    monitor : ProgressMonitor
        Receives a step before each file.

    Returns
    -------
    list of pathlib.Path
        The written files.

    Raises
    ------
    InputError
        If a file cannot be written.
    CancelledError
        If the monitor's ``stop`` is set; the files written so far stay.
    """
    volumes = {
        f"{name}{options.suffix}": compute for name, compute in _volumes(results, options).items()
    }

    def write(name: str) -> Path:
        write_on_native_grid(folder / name, volumes[name](), results.case, options.grid)
        return folder / name

    paths = map_in_threads(write, tuple(volumes), monitor, "Writing")
    if options.kinds & {"tables", "report"}:
        inventory = _inventory(results, monitor)
        if "tables" in options.kinds:
            paths += _write_tables(folder, results, inventory, monitor, options.grid)
        if "report" in options.kinds:
            paths += _write_report(folder, results, inventory, monitor)
    if "dicom-seg" in options.kinds:
        segmentation = results.segmentation
        provenance = SegmentationProvenance(
            segmentation.plan.decomposition, segmentation.checkpoint, results.context.corrected
        )
        path = folder / "segmentation.dcm"
        grid = results.case.grid
        series = options.series or source_series(results.case)
        paths.append(write_dicom_seg(path, results.labels, grid, series, provenance, monitor))
    return paths


def _volumes(results: ExportInput, options: ExportOptions) -> dict[str, Callable[[], np.ndarray]]:
    """Return functions that compute the requested volumes, by file name."""
    case, segmentation = results.case, results.segmentation
    modality = options.grid or case.reference
    volumes: dict[str, Callable[[], np.ndarray]] = {}

    def add(name: str, values: Mapping[Key, np.ndarray], key: Key) -> None:
        volumes[name] = lambda: resample_to_modality(values[key], case, modality)

    if "labels" in options.kinds:
        volumes["segmentation"] = partial(labels_at, modality, case, segmentation, results.labels)
    if "probabilities" in options.kinds:
        for region in segmentation.probabilities:
            add(f"probability_{region}", segmentation.probabilities, region)
        if segmentation.uncertainty is not None:
            entropy = segmentation.uncertainty.entropy
            for region in entropy:
                add(f"uncertainty_{region}", entropy, region)
    if "maps" in options.kinds and results.explanation is not None:
        maps = results.explanation.maps
        for pair, auxiliary in maps:
            name = f"complementary_{pair.primary}_{pair.region}_{auxiliary}"
            add(name, maps, (pair, auxiliary))
    return volumes


def source_series(case: Case) -> list[Path]:
    """Return the DICOM files of the case's reference modality; none if it is not DICOM."""
    stack = case.sources[case.reference].stack
    return [] if stack is None else sorted({plane.file for plane in stack.planes})


def _inventory(results: ExportInput, monitor: ProgressMonitor) -> Inventory:
    regions = results.segmentation.plan.decomposition.regions
    return detect_lesions(results.labels, regions, results.case.grid, results.segmentation, monitor)


def _write_tables(
    folder: Path,
    results: ExportInput,
    inventory: Inventory,
    monitor: ProgressMonitor,
    grid: str | None,
) -> list[Path]:
    """Write ``volumes.csv``, ``summary.json``, and ``weights.csv``, ``lesions.csv`` if any."""
    monitor.step("Writing tables")
    paths = [
        write_table(folder / "volumes.csv", volume_rows(results)),
        write_summary(folder, results.case, results.segmentation, grid),
    ]
    if results.explanation is not None:
        paths.append(write_text(folder / "weights.csv", weights_csv(results.explanation)))
    if inventory.lesions:
        paths.append(write_table(folder / "lesions.csv", lesion_rows(inventory)))
    return paths


def _write_report(
    folder: Path, results: ExportInput, inventory: Inventory, monitor: ProgressMonitor
) -> list[Path]:
    """Write ``report.html`` and ``report.pdf``."""
    monitor.step("Composing the report")
    report = compose_report(
        results.case,
        results.segmentation,
        results.labels,
        inventory.regions,
        results.explanation,
        results.context,
    )
    monitor.step("Writing report.html")
    paths = [write_report_html(folder / "report.html", report)]
    monitor.step("Writing report.pdf")
    return [*paths, write_report_pdf(folder / "report.pdf", report)]


def volume_rows(results: ExportInput) -> list[dict[str, object]]:
    """Return the table of volumes, of the present label map and of the computed one."""
    segmentation, voxel_ml = results.segmentation, results.case.grid.voxel_ml
    masks = region_masks(results.labels, segmentation.plan.decomposition.regions)
    return [
        {
            "region": name,
            "volume_ml": round(float(np.count_nonzero(mask) * voxel_ml), 3),
            "computed_ml": round(segmentation.volumes_ml[name], 3),
        }
        for name, mask in masks.items()
    ]

"""What leaves the program for a case: files of the kinds that were chosen, in one folder."""

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
"""What can be chosen, in words."""

FORMATS = (".nii.gz", ".nrrd")


@dataclass(frozen=True)
class ExportInput:
    """What there is of a case.

    Parameters
    ----------
    case : Case
        Its images.
    segmentation : Segmentation
        As it was computed.
    labels : numpy.ndarray
        As it is now, (Z, Y, X) on the case grid.
    explanation : Explanation or None
        If it was explained.
    context : Context
        What else the report says; ``corrected`` holds for all files.
    """

    case: Case
    segmentation: Segmentation
    labels: np.ndarray
    explanation: Explanation | None = None
    context: ReportContext = field(default_factory=ReportContext)


@dataclass(frozen=True)
class ExportOptions:
    """What is asked for.

    Parameters
    ----------
    kinds : frozenset of str
        Of `KINDS`.
    suffix : str
        Of volumes, one of `FORMATS`.
    series : sequence of pathlib.Path
        The files of the series that DICOM SEG refers to; that of the case's reference if empty.
    grid : str, optional
        Modality on whose file's voxels volumes lie; by default the reference. DICOM SEG lies on
        its series, the report and tables tell of the case grid.
    """

    kinds: frozenset[Kind]
    suffix: str = ".nii.gz"
    series: Sequence[Path] = ()
    grid: str | None = None


def export_results(
    folder: Path, results: ExportInput, wish: ExportOptions, monitor: ProgressMonitor
) -> list[Path]:
    """Write what is asked for; what there is nothing of is left out.

    Parameters
    ----------
    folder : pathlib.Path
        Exists and can be written to.
    results : Results
        What is written.
    wish : Wish
        Which of it.
    monitor : Monitor
        Told before each file.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    InputError
        If one cannot be written.
    CancelledError
        If the monitor's ``stop`` is set; the files written so far stay.
    """
    volumes = {f"{name}{wish.suffix}": made for name, made in _volumes(results, wish).items()}

    def write(name: str) -> Path:
        write_on_native_grid(folder / name, volumes[name](), results.case, wish.grid)
        return folder / name

    paths = map_in_threads(write, tuple(volumes), monitor, "Writing")
    if wish.kinds & {"tables", "report"}:
        found = _inventory(results, monitor)
        if "tables" in wish.kinds:
            paths += _write_tables(folder, results, found, monitor, wish.grid)
        if "report" in wish.kinds:
            paths += _write_report(folder, results, found, monitor)
    if "dicom-seg" in wish.kinds:
        segmentation = results.segmentation
        made = SegmentationProvenance(
            segmentation.plan.decomposition, segmentation.checkpoint, results.context.corrected
        )
        path = folder / "segmentation.dcm"
        grid = results.case.grid
        series = wish.series or source_series(results.case)
        paths.append(write_dicom_seg(path, results.labels, grid, series, made, monitor))
    return paths


def _volumes(results: ExportInput, wish: ExportOptions) -> dict[str, Callable[[], np.ndarray]]:
    """Return the volumes asked for by file name; each is made when it is its turn."""
    case, segmentation = results.case, results.segmentation
    where = wish.grid or case.reference
    found: dict[str, Callable[[], np.ndarray]] = {}

    def add(name: str, values: Mapping[Key, np.ndarray], key: Key) -> None:
        found[name] = lambda: resample_to_modality(values[key], case, where)

    if "labels" in wish.kinds:
        found["segmentation"] = partial(labels_at, where, case, segmentation, results.labels)
    if "probabilities" in wish.kinds:
        for region in segmentation.probabilities:
            add(f"probability_{region}", segmentation.probabilities, region)
        if segmentation.uncertainty is not None:
            entropy = segmentation.uncertainty.entropy
            for region in entropy:
                add(f"uncertainty_{region}", entropy, region)
    if "maps" in wish.kinds and results.explanation is not None:
        maps = results.explanation.maps
        for pair, auxiliary in maps:
            name = f"complementary_{pair.primary}_{pair.region}_{auxiliary}"
            add(name, maps, (pair, auxiliary))
    return found


def source_series(case: Case) -> list[Path]:
    """Return the files of the series that the case's reference was read from; none if no DICOM."""
    stack = case.sources[case.reference].stack
    return [] if stack is None else sorted({plane.file for plane in stack.planes})


def _inventory(results: ExportInput, monitor: ProgressMonitor) -> Inventory:
    regions = results.segmentation.plan.decomposition.regions
    return detect_lesions(results.labels, regions, results.case.grid, results.segmentation, monitor)


def _write_tables(
    folder: Path, results: ExportInput, found: Inventory, monitor: ProgressMonitor, grid: str | None
) -> list[Path]:
    """Write ``volumes.csv``, ``summary.json``, and ``weights.csv``, ``lesions.csv`` if any."""
    monitor.step("Writing tables")
    paths = [
        write_table(folder / "volumes.csv", volume_rows(results)),
        write_summary(folder, results.case, results.segmentation, grid),
    ]
    if results.explanation is not None:
        paths.append(write_text(folder / "weights.csv", weights_csv(results.explanation)))
    if found.lesions:
        paths.append(write_table(folder / "lesions.csv", lesion_rows(found)))
    return paths


def _write_report(
    folder: Path, results: ExportInput, found: Inventory, monitor: ProgressMonitor
) -> list[Path]:
    """Write ``report.html`` and ``report.pdf``."""
    monitor.step("Composing the report")
    report = compose_report(
        results.case,
        results.segmentation,
        results.labels,
        found.regions,
        results.explanation,
        results.context,
    )
    monitor.step("Writing report.html")
    paths = [write_report_html(folder / "report.html", report)]
    monitor.step("Writing report.pdf")
    return [*paths, write_report_pdf(folder / "report.pdf", report)]


def volume_rows(results: ExportInput) -> list[dict[str, object]]:
    """Return the table of volumes: of the label map as it is, and as it was computed."""
    regions, voxel = results.segmentation.plan.decomposition.regions, results.case.grid.voxel_ml
    now = region_masks(results.labels, regions)
    return [
        {
            "region": name,
            "volume_ml": round(float(np.count_nonzero(mask) * voxel), 3),
            "computed_ml": round(results.segmentation.volumes_ml[name], 3),
        }
        for name, mask in now.items()
    ]

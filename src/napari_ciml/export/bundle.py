"""What leaves the program for a case: files of the kinds that were chosen, in one folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.write import write_on_native_grid
from napari_ciml.export.dicom_seg import Made, write_dicom_seg
from napari_ciml.export.report import Context, compose_report
from napari_ciml.export.report_html import write_report_html
from napari_ciml.export.report_page import write_report_pdf
from napari_ciml.export.results import weights_csv, write_summary
from napari_ciml.export.text import write_table, write_text
from napari_ciml.monitor import Monitor

if TYPE_CHECKING:
    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

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
class Results:
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
    lesions : sequence of mapping of str to object
        Rows of the table of lesions.
    """

    case: Case
    segmentation: "Segmentation"
    labels: np.ndarray
    explanation: "Explanation | None" = None
    context: Context = field(default_factory=Context)
    lesions: Sequence[dict[str, object]] = ()


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Parameters
    ----------
    kinds : frozenset of str
        Of `KINDS`.
    suffix : str
        Of volumes, one of `FORMATS`.
    series : sequence of pathlib.Path
        The files of the series that DICOM SEG refers to; that of the case's reference if empty.
    """

    kinds: frozenset[Kind]
    suffix: str = ".nii.gz"
    series: Sequence[Path] = ()


def write_bundle(folder: Path, results: Results, wish: Wish, monitor: Monitor) -> list[Path]:
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
    paths = []
    volumes = _volumes(results, wish)
    for done, (name, values) in enumerate(volumes.items()):
        monitor.step(f"Writing {name}{wish.suffix}", done, len(volumes))
        paths.append(folder / f"{name}{wish.suffix}")
        write_on_native_grid(paths[-1], values(), results.case)
    if "tables" in wish.kinds:
        paths += write_tables(folder, results, monitor)
    if "report" in wish.kinds:
        paths += write_report(folder, results, monitor)
    if "dicom-seg" in wish.kinds:
        segmentation = results.segmentation
        made = Made(
            segmentation.plan.decomposition, segmentation.checkpoint, results.context.corrected
        )
        path = folder / "segmentation.dcm"
        grid = results.case.grid
        series = wish.series or own_series(results.case)
        paths.append(write_dicom_seg(path, results.labels, grid, series, made, monitor))
    return paths


def _volumes(results: Results, wish: Wish) -> dict[str, Callable[[], np.ndarray]]:
    """Return the volumes asked for by file name; each is made when it is its turn."""
    found: dict[str, Callable[[], np.ndarray]] = {}
    if "labels" in wish.kinds:
        found["segmentation"] = lambda: results.labels
    if "probabilities" in wish.kinds:
        for region, values in results.segmentation.probabilities.items():
            found[f"probability_{region}"] = partial(np.asarray, values)
        if results.segmentation.uncertainty is not None:
            entropy = results.segmentation.uncertainty.entropy
            for region in entropy:
                found[f"uncertainty_{region}"] = partial(entropy.__getitem__, region)
    if "maps" in wish.kinds and results.explanation is not None:
        maps = results.explanation.maps
        for pair, auxiliary in maps:
            name = f"complementary_{pair.primary}_{pair.region}_{auxiliary}"
            found[name] = partial(maps.__getitem__, (pair, auxiliary))
    return found


def own_series(case: Case) -> list[Path]:
    """Return the files of the series that the case's reference was read from; none if no DICOM."""
    stack = case.sources[case.reference].stack
    return [] if stack is None else sorted({plane.file for plane in stack.planes})


def write_tables(folder: Path, results: Results, monitor: Monitor) -> list[Path]:
    """Write ``volumes.csv``, ``summary.json``, and ``weights.csv``, ``lesions.csv`` if any."""
    monitor.step("Writing tables")
    paths = [
        write_table(folder / "volumes.csv", volume_rows(results)),
        write_summary(folder, results.case, results.segmentation),
    ]
    if results.explanation is not None:
        paths.append(write_text(folder / "weights.csv", weights_csv(results.explanation)))
    if results.lesions:
        paths.append(write_table(folder / "lesions.csv", results.lesions))
    return paths


def write_report(folder: Path, results: Results, monitor: Monitor) -> list[Path]:
    """Write ``report.html`` and ``report.pdf``."""
    monitor.step("Composing the report")
    report = compose_report(
        results.case,
        results.segmentation,
        results.labels,
        results.explanation,
        results.context,
    )
    monitor.step("Writing report.html")
    paths = [write_report_html(folder / "report.html", report)]
    monitor.step("Writing report.pdf")
    return [*paths, write_report_pdf(folder / "report.pdf", report)]


def volume_rows(results: Results) -> list[dict[str, object]]:
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

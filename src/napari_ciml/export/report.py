"""Content of the one-page report; `report_page` and `report_html` render it.

It contains no patient name unless the caller gives one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from napari_ciml import __version__
from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation
from napari_ciml.export.report_pictures import KeyImageRenderer, Picture
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.lesions import RegionSummary

DISCLAIMER = (
    "Research software, not a medical device: not for diagnosis or treatment. "
    "A map shows where the message of an auxiliary modality raised the evidence for a region "
    "beyond what the primary modality shows, not where the tumour is."
)

MAP_STOPS = (
    (0.05, 0.05, 0.4, 0.0),
    (0.1, 0.2, 0.7, 0.45),
    (0.4, 0.75, 0.95, 0.75),
    (1.0, 0.9, 0.2, 1.0),
)
"""RGBA colours of maps: dark blue, light blue, yellow as in Fig. 12; transparent at zero."""

PALETTE = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2")
"""Colours of auxiliary modalities in charts of weights, in the order of their names."""


@dataclass(frozen=True)
class Table:
    """A titled table of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """Content of the report.

    Parameters
    ----------
    title : str
        Title of the page.
    facts : tuple of (str, str)
        Names and values of how the result was made; the first one is the date.
    regions, decomposition : Table
        Measurements by region, and roles of the modalities by subtask.
    pictures, maps : tuple of Picture
        Key image of each region, and its strongest map.
    weights : dict of Pair to dict of str to float
        Complementary-information weights (eq. 16); empty without an explanation.
    notices : tuple of str
        Notices for the reader.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    regions: Table
    decomposition: Table
    pictures: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    weights: dict[Pair, dict[str, float]]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class ReportContext:
    """Further content of a report.

    Parameters
    ----------
    checkpoint : str
        Name of the checkpoint.
    subject : str
        Name of the subject, if the user wants it in the report.
    corrected : bool
        Whether the label map was edited manually.
    limits : mapping of str to (float, float)
        Contrast limits by modality that the user has set.
    day : datetime.date, optional
        Date of the report, today by default.
    """

    checkpoint: str = ""
    subject: str = ""
    corrected: bool = False
    limits: Mapping[str, tuple[float, float]] | None = None
    day: date | None = None


def compose_report(
    case: Case,
    segmentation: Segmentation,
    labels: np.ndarray,
    summaries: Sequence[RegionSummary],
    explanation: Explanation | None = None,
    context: ReportContext | None = None,
) -> Report:
    """Compose the report of a case.

    Parameters
    ----------
    case : Case
        The case.
    segmentation : Segmentation
        Its segmentation.
    labels : numpy.ndarray
        Label map to report, (Z, Y, X) on the case grid: that of the segmentation, or an edited one.
    summaries : sequence of RegionSummary
        Summaries of the label map's regions (`detect_lesions`).
    explanation : Explanation, optional
        Source of maps and weights.
    context : ReportContext, optional
        Further content.
    """
    context = context or ReportContext()
    decomposition = segmentation.plan.decomposition
    masks = region_masks(labels, decomposition.regions)
    weights: dict[Pair, dict[str, float]] = {}
    for (pair, auxiliary), weight in (explanation.weights if explanation else {}).items():
        weights.setdefault(pair, {})[auxiliary] = weight
    renderer = KeyImageRenderer(case, masks, context.limits or {})
    empty = [summary.region for summary in summaries if not summary.lesions]
    return Report(
        title=f"Segmentation of {context.subject}" if context.subject else "Segmentation report",
        facts=_facts(case, segmentation, context),
        regions=_regions(summaries),
        decomposition=_decomposition(segmentation),
        pictures=tuple(renderer.regions(decomposition)),
        maps=tuple(renderer.maps(decomposition, explanation)) if explanation else (),
        weights=weights,
        notices=(
            *(f"No {name} was found." for name in empty),
            *case.notices,
            *segmentation.notices,
        ),
    )


def _facts(
    case: Case, segmentation: Segmentation, context: ReportContext
) -> tuple[tuple[str, str], ...]:
    muted = ", ".join(sorted(f"{m.primary}:{m.auxiliary}" for m in segmentation.plan.muted))
    facts = (
        ("Date", (context.day or date.today()).isoformat()),
        ("Modalities", ", ".join(case.images)),
        ("Grid", f"{case.native_grid.describe()} ({case.reference})"),
        ("Label map", "corrected by hand" if context.corrected else "as computed"),
        ("Checkpoint", context.checkpoint),
        ("SHA-256", segmentation.checkpoint),
        ("Decomposition", segmentation.plan.decomposition.name),
        ("Muted", muted),
        ("Edited", "; ".join(_edited(segmentation))),
        ("Software", f"napari-ciml {__version__} ({segmentation.engine}, {segmentation.device})"),
    )
    return tuple((name, text) for name, text in facts if text)


def _edited(segmentation: Segmentation) -> Iterator[str]:
    """Yield a description of each option that is not the default."""
    settings, plan = segmentation.settings, segmentation.plan
    for name in plan.decomposition.region_names:
        if settings.threshold(name) != THRESHOLD:
            yield f"{name} from a probability of {settings.threshold(name):.2f} on"
    for pair in plan.pairs:
        if plan.weight(pair) != 1:
            yield f"{pair.primary}:{pair.region} weighs {plan.weight(pair):g}"
    if settings.multiscale:
        yield "multiscale inference"
    if settings.test_time_flips:
        yield "test-time flips"
    if settings.overlap is not None:
        yield f"tile overlap {settings.overlap:g}"
    if not settings.postprocess:
        yield "no postprocessing"


def _regions(summaries: Sequence[RegionSummary]) -> Table:
    rows = []
    for one in summaries:
        largest, uncertainty = one.diameters, one.uncertainty
        size = f"{largest.longest_mm:.1f} x {largest.perpendicular_mm:.1f}"
        rows.append(
            (
                one.region,
                one.ml_in_words,
                str(one.lesions),
                size if one.lesions else "-",
                "-" if uncertainty is None else f"{uncertainty:.2f}",
            )
        )
    sampled = any(one.spread_ml is not None for one in summaries)
    volume = "mL (± over samples)" if sampled else "mL"
    columns = ("Region", volume, "Lesions", "Largest (mm)", "Uncertainty (bits)")
    return Table("Regions", columns, tuple(rows))


def _decomposition(segmentation: Segmentation) -> Table:
    plan = segmentation.plan
    rows = [
        (task.name, ", ".join(task.regions), ", ".join(plan.auxiliaries(task.name)) or "none")
        for task in plan.decomposition.subtasks
    ]
    return Table("Decomposition", ("Primary", "Regions", "Auxiliaries"), tuple(rows))

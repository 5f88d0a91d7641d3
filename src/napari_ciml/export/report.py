"""What the one-page report says; `report_page` and `report_html` only set it.

Nobody's name is in it unless the caller gives one.
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
"""Of a map's colours: dark blue, light blue, yellow as in Fig. 12; zero shows the image beneath."""

PALETTE = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2")
"""Of auxiliary modalities in charts of weights, by the order of their names."""


@dataclass(frozen=True)
class Table:
    """Rows of text under columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """Everything that the page says.

    Parameters
    ----------
    title : str
        At the top.
    facts : tuple of (str, str)
        How the result was made.
    regions, decomposition : Table
        What was found, by region; and what was asked for, by subtask.
    pictures, maps : tuple of Picture
        One for each region, and the strongest map of each.
    weights : dict of Pair to dict of str to float
        Complementary-information weights (eq. 16); empty if nothing was explained.
    notices : tuple of str
        What the reader must know.
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
    """What a report says beside the results.

    Parameters
    ----------
    checkpoint : str
        The name the checkpoint gives itself.
    subject : str
        A name, if the user asks for one.
    corrected : bool
        Whether a person has painted on the label map.
    limits : mapping of str to (float, float)
        Contrast limits by modality, as the user has set them.
    day : datetime.date, optional
        By default today.
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
    found: Sequence[RegionSummary],
    explanation: Explanation | None = None,
    context: ReportContext | None = None,
) -> Report:
    """Say what there is to say of a case.

    Parameters
    ----------
    case : Case
        Its images.
    segmentation : Segmentation
        How it was segmented.
    labels : numpy.ndarray
        The label map to report, (Z, Y, X) on the case grid: that of the segmentation, or as
        somebody has corrected it.
    found : sequence of RegionSummary
        What `detect_lesions` found in it.
    explanation : Explanation, optional
        Gives maps and weights.
    context : Context, optional
        What else.
    """
    context = context or ReportContext()
    whole = segmentation.plan.decomposition
    masks = region_masks(labels, whole.regions)
    weights: dict[Pair, dict[str, float]] = {}
    for (pair, auxiliary), weight in (explanation.weights if explanation else {}).items():
        weights.setdefault(pair, {})[auxiliary] = weight
    looker = KeyImageRenderer(case, masks, context.limits or {})
    empty = [one.region for one in found if not one.lesions]
    return Report(
        title=f"Segmentation of {context.subject}" if context.subject else "Segmentation report",
        facts=_facts(case, segmentation, context),
        regions=_regions(found),
        decomposition=_decomposition(segmentation),
        pictures=tuple(looker.regions(whole)),
        maps=tuple(looker.maps(whole, explanation)) if explanation else (),
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
    """Yield what was asked for beside the decomposition, and is not the default."""
    settings, plan = segmentation.settings, segmentation.plan
    for name in plan.decomposition.region_names:
        if settings.threshold(name) != THRESHOLD:
            yield f"{name} from a probability of {settings.threshold(name):.2f} on"
    for pair in plan.pairs:
        if plan.weight(pair) != 1:
            yield f"{pair.primary}:{pair.region} weighs {plan.weight(pair):g}"
    if settings.multiscale:
        yield "a pass at larger voxels averaged in"
    if settings.test_time_flips:
        yield "mirrored passes averaged"
    if settings.overlap is not None:
        yield f"tiles overlap by {settings.overlap:g}"
    if not settings.postprocess:
        yield "specks and holes kept"


def _regions(found: Sequence[RegionSummary]) -> Table:
    rows = []
    for one in found:
        largest, doubt = one.diameters, one.uncertainty
        across = f"{largest.longest_mm:.1f} x {largest.perpendicular_mm:.1f}"
        rows.append(
            (
                one.region,
                one.ml_in_words,
                str(one.lesions),
                across if one.lesions else "-",
                "-" if doubt is None else f"{doubt:.2f}",
            )
        )
    sampled = any(one.spread_ml is not None for one in found)
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

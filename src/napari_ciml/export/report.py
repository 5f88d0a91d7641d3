"""What the one-page report says; `report_page` and `report_html` only set it.

Nobody's name is in it unless the caller gives one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml import __version__
from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.window import display_range, object_box
from napari_ciml.decomposition import Decomposition, Pair, Region

if TYPE_CHECKING:
    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

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

_MARGIN_MM = 10.0
"""Of image around the object in a picture."""


@dataclass(frozen=True)
class Picture:
    """An axial slice.

    Parameters
    ----------
    title, caption : str
        Above and below.
    image : numpy.ndarray
        (Y, X) float32; first row anterior, first column on the patient's right.
    limits : tuple of float
        Its contrast limits.
    aspect : float
        Height of a pixel over its width.
    mask : numpy.ndarray
        (Y, X) bool, drawn as a contour.
    colour : str
        Of the contour.
    overlay : numpy.ndarray or None
        A complementary-information map in [0, 1], (Y, X).
    inverted : bool
        Whether large values are dark (PET).
    """

    title: str
    caption: str
    image: np.ndarray
    limits: tuple[float, float]
    aspect: float
    mask: np.ndarray
    colour: str
    overlay: np.ndarray | None = None
    inverted: bool = False


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
    volumes, decomposition : Table
        By region, and by subtask.
    pictures, maps : tuple of Picture
        One for each region, and the strongest map of each.
    weights : dict of Pair to dict of str to float
        Complementary-information weights (eq. 16); empty if nothing was explained.
    notices : tuple of str
        What the reader must know.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    volumes: Table
    decomposition: Table
    pictures: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    weights: dict[Pair, dict[str, float]]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Context:
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
    measures : mapping of str to mapping of str to float
        Further columns of the volumes' table, by title and region.
    day : datetime.date, optional
        By default today.
    """

    checkpoint: str = ""
    subject: str = ""
    corrected: bool = False
    limits: Mapping[str, tuple[float, float]] | None = None
    measures: Mapping[str, Mapping[str, float]] | None = None
    day: date | None = None


def compose_report(
    case: Case,
    segmentation: "Segmentation",
    labels: np.ndarray,
    explanation: "Explanation | None" = None,
    context: Context | None = None,
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
    explanation : Explanation, optional
        Gives maps and weights.
    context : Context, optional
        What else.
    """
    context = context or Context()
    whole = segmentation.plan.decomposition
    masks = region_masks(labels, whole.regions)
    weights: dict[Pair, dict[str, float]] = {}
    for (pair, auxiliary), weight in (explanation.weights if explanation else {}).items():
        weights.setdefault(pair, {})[auxiliary] = weight
    looker = _Looker(case, masks, context.limits or {})
    empty = [name for name, mask in masks.items() if not mask.any()]
    return Report(
        title=f"Segmentation of {context.subject}" if context.subject else "Segmentation report",
        facts=_facts(case, segmentation, context),
        volumes=_volumes(masks, case.grid.voxel_ml, context.measures or {}),
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


@dataclass(frozen=True)
class _Looker:
    """Takes pictures of a case."""

    case: Case
    masks: Mapping[str, np.ndarray]
    limits: Mapping[str, tuple[float, float]]

    def regions(self, whole: Decomposition) -> list[Picture]:
        """Return each region's largest axial slice over its primary modality."""
        made = []
        for region in whole.regions:
            pair = next((pair for pair in whole.pairs if pair.region == region.name), None)
            if pair is not None and self.masks[region.name].any():
                primary = whole.subtask(pair.primary).primary[0]
                k = _largest(self.masks[region.name])
                area = np.count_nonzero(self.masks[region.name][k]) * self._pixel_cm2()
                made.append(
                    self._picture(
                        region, primary, k, f"{region.name} on {primary}", f"{area:.1f} cm²"
                    )
                )
        return made

    def maps(self, whole: Decomposition, explanation: "Explanation") -> list[Picture]:
        """Return the map that is strongest inside each region, over the modality it belongs to."""
        made = []
        for region in whole.regions:
            mask = self.masks[region.name]
            sums = {
                key: float(zeta[mask].sum())
                for key, zeta in explanation.maps.items()
                if key[0].region == region.name
            }
            strongest = max(sums, key=lambda key: sums[key], default=None)
            if strongest is None or sums[strongest] == 0:
                continue
            (pair, auxiliary), zeta = strongest, explanation.maps[strongest]
            k = int((zeta * mask).sum(axis=(1, 2)).argmax())
            weight = explanation.weights[strongest]
            title = f"{auxiliary} for {pair.primary} {pair.region}"
            made.append(self._picture(region, auxiliary, k, title, f"weight {weight:.2f}", zeta[k]))
        return made

    def _picture(
        self,
        region: Region,
        modality: str,
        k: int,
        title: str,
        caption: str,
        overlay: np.ndarray | None = None,
    ) -> Picture:
        volume, grid = self.case.images[modality], self.case.grid
        box = _with_margin(object_box(volume), grid.scale, grid.shape)
        height = grid.translate[0] + k * grid.scale[0]
        return Picture(
            title=title,
            caption=f"slice {k + 1} of {grid.shape[0]} (z = {height:.0f} mm), {caption}",
            image=volume[k][box],
            limits=self.limits.get(modality)
            or display_range(volume, modality, self.case.units.get(modality, "")),
            aspect=grid.scale[1] / grid.scale[2],
            mask=self.masks[region.name][k][box],
            colour=region.colour,
            overlay=None if overlay is None else overlay[box],
            inverted=modality == "PET",
        )

    def _pixel_cm2(self) -> float:
        return self.case.grid.scale[1] * self.case.grid.scale[2] / 100


def _facts(
    case: Case, segmentation: "Segmentation", context: Context
) -> tuple[tuple[str, str], ...]:
    muted = ", ".join(sorted(f"{m.primary}:{m.auxiliary}" for m in segmentation.plan.muted))
    facts = (
        ("Date", (context.day or date.today()).isoformat()),
        ("Modalities", ", ".join(case.images)),
        ("Grid", f"{case.native.describe()} ({case.reference})"),
        ("Label map", "corrected by hand" if context.corrected else "as computed"),
        ("Checkpoint", context.checkpoint),
        ("SHA-256", segmentation.checkpoint),
        ("Decomposition", segmentation.plan.decomposition.name),
        ("Muted", muted),
        ("Software", f"napari-ciml {__version__} ({segmentation.engine}, {segmentation.device})"),
    )
    return tuple((name, text) for name, text in facts if text)


def _volumes(
    masks: Mapping[str, np.ndarray],
    voxel_ml: float,
    measures: Mapping[str, Mapping[str, float]],
) -> Table:
    rows = []
    for name, mask in masks.items():
        further = (f"{found[name]:.2f}" if name in found else "-" for found in measures.values())
        rows.append((name, f"{np.count_nonzero(mask) * voxel_ml:.1f}", *further))
    return Table("Volumes", ("Region", "mL", *measures), tuple(rows))


def _decomposition(segmentation: "Segmentation") -> Table:
    plan = segmentation.plan
    rows = [
        (task.name, ", ".join(task.regions), ", ".join(plan.auxiliaries(task.name)) or "none")
        for task in plan.decomposition.subtasks
    ]
    return Table("Decomposition", ("Primary", "Regions", "Auxiliaries"), tuple(rows))


def _largest(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask, axis=(1, 2)).argmax())


def _with_margin(
    box: Sequence[slice], scale: Sequence[float], shape: Sequence[int]
) -> tuple[slice, slice]:
    """Return the in-plane part of a box, (Y, X), wider by a margin."""
    wide = []
    for part, mm, n in zip(box[1:], scale[1:], shape[1:], strict=True):
        more = round(_MARGIN_MM / mm)
        wide.append(slice(max(0, part.start - more), min(n, part.stop + more)))
    return wide[0], wide[1]

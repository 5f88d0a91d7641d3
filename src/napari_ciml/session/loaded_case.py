"""A case with what showing it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from napari_ciml.cases.case import Case
from napari_ciml.cases.display_window import display_range, value_range


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case that was read, with the intensities that showing it needs.

    Parameters
    ----------
    case : Case
        The case.
    limits : mapping of str to (float, float)
        Contrast limits at first, by modality.
    ranges : mapping of str to (float, float)
        Smallest and largest intensity, by modality.
    """

    case: Case
    limits: Mapping[str, tuple[float, float]]
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, case: Case) -> Self:
        """Compute limits and ranges of a case; takes a moment for each modality."""
        limits = {
            m: display_range(image, m, case.units.get(m, "")) for m, image in case.images.items()
        }
        return cls(case, limits, {m: value_range(i) for m, i in case.images.items()})

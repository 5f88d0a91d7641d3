"""A case on its way from the disk to the window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from napari_ciml.cases.case import Case
from napari_ciml.cases.display_window import display_range, value_range


@dataclass(frozen=True)
class LoadedCase:
    """A case that was read, with what showing it needs."""

    case: Case
    limits: Mapping[str, tuple[float, float]]
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, case: Case) -> Self:
        """Look at the intensities of a case."""
        limits = {
            m: display_range(image, m, case.units.get(m, "")) for m, image in case.images.items()
        }
        return cls(case, limits, {m: value_range(i) for m, i in case.images.items()})

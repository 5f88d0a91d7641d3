"""Units of CT and PET: Hounsfield units, SUV, activity concentration."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.cases.source import VolumeSource
from napari_ciml.errors import InputError

_MAX_SUV = 100.0
"""99.9th percentile of a PET above which it is not in SUV."""


def infer_unit(modality: str, source: VolumeSource, image: np.ndarray) -> tuple[str, str]:
    """Return the unit of a modality, and a clause on why a PET is not in SUV.

    Parameters
    ----------
    modality : str
        Name of the modality.
    source : VolumeSource
        States the unit if it is known.
    image : numpy.ndarray
        (Z, Y, X); tells whether a PET of unknown unit can be in SUV.
    """
    if modality == "CT":
        return "HU", ""
    if modality != "PET" or source.unit:
        return source.unit, source.unit_reason
    high = float(np.percentile(image[::2, ::2, ::2], 99.9))
    if high > _MAX_SUV:
        return "Bq/mL", f"its values (above {high:.0f}) are too large for SUV"
    return "SUV", ""


def require_suv(
    modality: str, units: Mapping[str, str], sources: Mapping[str, VolumeSource]
) -> None:
    """Raise `InputError` if a modality is known not to be in SUV."""
    unit = units.get(modality, "SUV")
    if unit == "SUV":
        return
    reason = sources[modality].unit_reason if modality in sources else ""
    detail = f" ({reason})" if reason else ""
    raise InputError(
        f"{modality} is in {unit}{detail}, and the checkpoint requires SUV; choose a series whose "
        "tags allow to compute it, or a file in SUV."
    )

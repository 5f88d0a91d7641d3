"""Units of what is not MR: Hounsfield units, SUV, activity."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.cases.source import VolumeSource
from napari_ciml.errors import InputError

_TOO_LARGE_FOR_SUV = 100.0
"""The thousandth part of a volume's voxels that is above this shows that it is not in SUV."""


def infer_unit(modality: str, source: VolumeSource, image: np.ndarray) -> tuple[str, str]:
    """Return a modality's unit, and a clause on why a PET is not in SUV.

    Parameters
    ----------
    modality : str
        Which one.
    source : Source
        May know its unit.
    image : numpy.ndarray
        (Z, Y, X), to see whether a PET that tells no unit can be in SUV.
    """
    if modality == "CT":
        return "HU", ""
    if modality != "PET" or source.unit:
        return source.unit, source.unit_reason
    high = float(np.percentile(image[::2, ::2, ::2], 99.9))
    if high > _TOO_LARGE_FOR_SUV:
        return "Bq/mL", f"its values (above {high:.0f}) are too large for SUV"
    return "SUV", ""


def require_suv(
    modality: str, units: Mapping[str, str], sources: Mapping[str, VolumeSource]
) -> None:
    """Raise `InputError` if a modality that has to be in SUV is known not to be."""
    unit = units.get(modality, "SUV")
    if unit == "SUV":
        return
    why = sources[modality].unit_reason if modality in sources else ""
    said = f" ({why})" if why else ""
    raise InputError(
        f"{modality} is in {unit}{said}, and the checkpoint wants SUV; choose a series whose tags "
        "give it, or a file in SUV."
    )

"""The option ``--regions``: label convention of a label map."""

from napari_ciml.cli import options
from napari_ciml.decomposition.model import Decomposition, Region

KNOWN = "brats2013, brats2020, brats2021, a decomposition preset, or a YAML file"


def regions(text: str) -> tuple[Region, ...]:
    """Return the regions of a label convention, a preset or a YAML file.

    Raises
    ------
    InputError
        If it is none of these.
    """
    from napari_ciml.cases.labels import LABEL_CONVENTIONS

    if text in LABEL_CONVENTIONS:
        return LABEL_CONVENTIONS[text]
    return options.decomposition(text).regions


def with_regions(decomposition: Decomposition, text: str | None) -> Decomposition:
    """Return a decomposition with the label values of a convention, if one is given.

    Raises
    ------
    InputError
        As `regions`, or if the convention lacks a region.
    """
    from napari_ciml.cases.labels import with_label_convention

    return decomposition if text is None else with_label_convention(decomposition, regions(text))

"""``--regions``: what the values of a label map mean."""

from napari_ciml.cli import options
from napari_ciml.decomposition.model import Decomposition, Region

KNOWN = "brats2013, brats2020, brats2021, a decomposition preset, or a YAML file"


def regions(text: str) -> tuple[Region, ...]:
    """Return the regions of a convention, a preset or a YAML file.

    Raises
    ------
    InputError
        If it is none of these.
    """
    from napari_ciml.cases.labels import LABEL_CONVENTIONS

    if text in LABEL_CONVENTIONS:
        return LABEL_CONVENTIONS[text]
    return options.decomposition(text).regions


def labelled(whole: Decomposition, text: str | None) -> Decomposition:
    """Return a decomposition whose regions are made of the values asked for, if any are.

    Raises
    ------
    InputError
        As `regions`, or if a region is not among them.
    """
    from napari_ciml.cases.labels import with_label_convention

    return whole if text is None else with_label_convention(whole, regions(text))

"""What the values of a label map mean, as the user says it."""

from qtpy.QtWidgets import QComboBox

from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.decomposition.model import Region

_OWN = "as decomposed"


class LabelConventionBox(QComboBox):
    """The decomposition's own label values, or those of a convention."""

    def __init__(self) -> None:
        super().__init__()
        self.addItems([_OWN, *LABEL_CONVENTIONS])
        self.setToolTip(
            "Which label values make its regions: those of the decomposition, or of a convention."
        )

    def regions(self) -> tuple[Region, ...]:
        """Return what was chosen; empty for the decomposition's own."""
        return LABEL_CONVENTIONS.get(self.currentText(), ())

    def set_regions(self, regions: tuple[Region, ...]) -> None:
        """Choose what is already known."""
        names = [name for name, known in LABEL_CONVENTIONS.items() if known == regions]
        self.setCurrentText(names[0] if names else _OWN)

"""Choice of the label convention of a label map."""

from qtpy.QtWidgets import QComboBox

from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.decomposition.model import Region

_DEFAULT = "default"


class LabelConventionBox(QComboBox):
    """Box to choose the label values of the decomposition or of a known convention."""

    def __init__(self) -> None:
        super().__init__()
        self.addItems([_DEFAULT, *LABEL_CONVENTIONS])
        self.setToolTip(
            "Label convention: which label values make WT (whole tumour), TC (tumour core) and ET "
            "(enhancing tumour). Default: those of the decomposition."
        )

    def regions(self) -> tuple[Region, ...]:
        """Return the regions of the chosen convention; empty for the decomposition's own."""
        return LABEL_CONVENTIONS.get(self.currentText(), ())

    def set_regions(self, regions: tuple[Region, ...]) -> None:
        """Choose the convention with these regions, or the decomposition."""
        names = [name for name, known in LABEL_CONVENTIONS.items() if known == regions]
        self.setCurrentText(names[0] if names else _DEFAULT)

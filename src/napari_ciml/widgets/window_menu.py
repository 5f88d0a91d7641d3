"""Windows of CT and PET by name, and the colours of PET."""

from collections.abc import Callable, Iterable

from qtpy.QtWidgets import QComboBox, QFormLayout, QWidget

from napari_ciml.cases.window import windows_in
from napari_ciml.widgets.looks import PET_COLOURS
from napari_ciml.widgets.parts import row
from napari_ciml.widgets.session import Session


class WindowMenu(QWidget):
    """A row for each modality of the case that has windows; hidden if none has.

    Parameters
    ----------
    session : Session
        Whose case is shown.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.windows: dict[str, QComboBox] = {}
        self.colours: QComboBox | None = None
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        session.review.case_changed.connect(self._show_case)
        self._show_case()

    def _show_case(self) -> None:
        while self.form.rowCount():
            self.form.removeRow(0)
        self.windows, self.colours = {}, None
        case = self.session.review.case
        for modality, unit in (case.units if case else {}).items():
            named = windows_in(modality, unit)
            if not named:
                continue
            boxes = [self._window_box(modality, named)]
            if modality == "PET":
                self.colours = self._colour_box(modality)
                boxes.append(self.colours)
            self.windows[modality] = boxes[0]
            self.form.addRow(f"{modality} window", row(*boxes))
        self.setVisible(bool(self.windows))

    def _window_box(self, modality: str, named: dict[str, tuple[float, float]]) -> QComboBox:
        def choose(name: str) -> None:
            self.session.layers.set_window(modality, named[name])

        return _box(named, choose, f"Which values of the {modality} are black and white.")

    def _colour_box(self, modality: str) -> QComboBox:
        def choose(name: str) -> None:
            self.session.layers.set_colours(modality, PET_COLOURS[name])

        return _box(PET_COLOURS, choose, f"The colours of the {modality}.")


def _box(names: Iterable[str], choose: Callable[[str], None], tip: str) -> QComboBox:
    box = QComboBox()
    box.addItems(list(names))
    box.setToolTip(tip)
    box.textActivated.connect(choose)
    return box

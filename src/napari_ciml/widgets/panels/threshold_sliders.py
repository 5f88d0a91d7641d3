"""Sliders: each region's threshold, and each pair's weight in its region's ensemble."""

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from napari_ciml.decomposition.model import Pair
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel

_PERCENT, _TENTHS = 100, 10

Control = str | Pair
"""A region's threshold, or a pair's weight."""


class ThresholdSliders(QWidget):
    """Thresholds and weights of what is asked for.

    Parameters
    ----------
    review : Review
        Whose.
    """

    def __init__(self, model: SessionModel) -> None:
        super().__init__()
        self.model = model
        self.sliders: dict[Control, QSlider] = {}
        self._values: dict[Control, QLabel] = {}
        self._places = QGridLayout(self)
        self._places.setContentsMargins(0, 0, 0, 0)
        self._places.setVerticalSpacing(2)
        self._laid_out: tuple[Control, ...] = ()
        model.request_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        whole = self.model.decomposition
        shared = [
            pair
            for pair in whole.pairs
            if sum(other.region == pair.region for other in whole.pairs) > 1
        ]
        controls: tuple[Control, ...] = (*whole.region_names, *shared)
        if controls != self._laid_out:
            self._lay_out(whole.region_names, shared)
            self._laid_out = controls
        for control, slider in self.sliders.items():
            value = self._value(control)
            with QSignalBlocker(slider):
                slider.setValue(round(value * _scale(control)))
            self._values[control].setText(f"{value:.2f}" if _is_region(control) else f"{value:.1f}")

    def _lay_out(self, regions: tuple[str, ...], shared: list[Pair]) -> None:
        while (item := self._places.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        self.sliders, self._values = {}, {}
        self._places.addWidget(WrappingLabel("Threshold", QUIET_COLOUR), 0, 0, 1, 3)
        for k, name in enumerate(regions, 1):
            tip = f"From which probability on a voxel belongs to {name}."
            self._add(name, name, tip, (5, 95), k, 0)
        if shared:
            self._places.addWidget(WrappingLabel("Weight in the mean", QUIET_COLOUR), 0, 3, 1, 3)
        for k, pair in enumerate(sorted(shared, key=lambda p: regions.index(p.region)), 1):
            tip = f"How much {pair.primary} counts in the mean for {pair.region}; 0 leaves it out."
            self._add(pair, f"{pair.region} {pair.primary}", tip, (0, 30), k, 3)

    def _add(
        self, control: Control, text: str, tip: str, span: tuple[int, int], line: int, column: int
    ) -> None:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(*span)
        slider.setToolTip(tip)
        slider.setAccessibleName(text)
        slider.valueChanged.connect(lambda value: self._turned(control, value))
        self.sliders[control], self._values[control] = slider, QLabel()
        for k, part in enumerate((QLabel(text), slider, self._values[control])):
            self._places.addWidget(part, line, column + k)

    def _turned(self, control: Control, value: int) -> None:
        if isinstance(control, Pair):
            self.model.set_weight(control, value / _TENTHS)
        else:
            self.model.set_threshold(control, value / _PERCENT)

    def _value(self, control: Control) -> float:
        options = self.model.request.options
        return options.weight(control) if isinstance(control, Pair) else options.threshold(control)


def _is_region(control: Control) -> bool:
    return not isinstance(control, Pair)


def _scale(control: Control) -> int:
    return _PERCENT if _is_region(control) else _TENTHS

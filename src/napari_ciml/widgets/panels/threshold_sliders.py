"""Sliders of region thresholds and of ensemble weights."""

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from napari_ciml.decomposition.model import Pair
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel

_PERCENT, _TENTHS = 100, 10

Control = str | Pair
"""Name of a region (its threshold) or a pair (its weight)."""


class ThresholdSliders(QWidget):
    """Edit the thresholds of regions and the weights of pairs in their ensemble.

    Parameters
    ----------
    model : SessionModel
        Session model whose request is edited.
    """

    def __init__(self, model: SessionModel) -> None:
        super().__init__()
        self.model = model
        self.sliders: dict[Control, QSlider] = {}
        self._values: dict[Control, QLabel] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._laid_out: tuple[Control, ...] = ()
        model.request_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        decomposition = self.model.decomposition
        ensemble_pairs = [
            pair
            for pair in decomposition.pairs
            if sum(other.region == pair.region for other in decomposition.pairs) > 1
        ]
        controls: tuple[Control, ...] = (*decomposition.region_names, *ensemble_pairs)
        if controls != self._laid_out:
            self._lay_out(decomposition.region_names, ensemble_pairs)
            self._laid_out = controls
        for control, slider in self.sliders.items():
            value = self._value(control)
            with QSignalBlocker(slider):
                slider.setValue(round(value * _scale(control)))
            self._values[control].setText(f"{value:.2f}" if _is_region(control) else f"{value:.1f}")

    def _lay_out(self, regions: tuple[str, ...], ensemble_pairs: list[Pair]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.sliders, self._values = {}, {}
        self._grid.addWidget(WrappingLabel("Threshold", QUIET_COLOUR), 0, 0, 1, 3)
        for k, name in enumerate(regions, 1):
            tip = f"Voxels with at least this probability belong to {name}."
            self._add(name, name, tip, (5, 95), k, 0)
        if ensemble_pairs:
            self._grid.addWidget(WrappingLabel("Ensemble weight", QUIET_COLOUR), 0, 3, 1, 3)
        for k, pair in enumerate(sorted(ensemble_pairs, key=lambda p: regions.index(p.region)), 1):
            tip = (
                f"Weight of {pair.primary} in the mean probability of {pair.region}; 0 excludes it."
            )
            self._add(pair, f"{pair.region} {pair.primary}", tip, (0, 30), k, 3)

    def _add(
        self, control: Control, text: str, tip: str, span: tuple[int, int], row: int, column: int
    ) -> None:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(*span)
        slider.setToolTip(tip)
        slider.setAccessibleName(text)
        slider.valueChanged.connect(lambda value: self._on_moved(control, value))
        self.sliders[control], self._values[control] = slider, QLabel()
        for k, widget in enumerate((QLabel(text), slider, self._values[control])):
            self._grid.addWidget(widget, row, column + k)

    def _on_moved(self, control: Control, value: int) -> None:
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

"""The dock widget *View*: layout, window/level, colormap, and the key bindings."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton

from napari_ciml.widgets.display.key_bindings import ACTIONS, SHORTCUTS, Action, key_text
from napari_ciml.widgets.display.window_level import DEFAULT_WINDOW
from napari_ciml.widgets.layers.metadata import require_metadata
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, label, row
from napari_ciml.widgets.panels.dock import Dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

_EMPTY = "Open a case first, in Case or with the Guide; then these buttons and keys work on it."
_HELP = (
    "Keys work while the mouse is over the canvas. Images are displayed in radiological "
    "orientation: the patient's right (R) is on the left."
)


class ViewWidget(Dock):
    """Set the layout, the window/level and the colormap; list the key bindings.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer, scrolls=True)
        self.display = self.session.display
        self.empty = WrappingLabel(_EMPTY)
        self.buttons: dict[str, QPushButton] = {}
        self.windows = QComboBox()
        self.windows.setToolTip("Window/level preset of the active modality.")
        self.window_label = label("Window")
        self.colours = QComboBox()
        self.colours.setToolTip("Colormap of the active modality.")
        self.column.addWidget(self.empty)
        self.column.addLayout(row(self.window_label, self.windows, self.colours))
        self.column.addLayout(self._actions())
        for shortcut, meaning in SHORTCUTS:
            self.column.addWidget(WrappingLabel(f"<b>{shortcut}</b>: {meaning}", QUIET_COLOUR))
        self.column.addWidget(WrappingLabel(_HELP, QUIET_COLOUR))
        self.column.addStretch()
        self.add_footer()
        self.windows.activated.connect(self._choose_window)
        self.colours.textActivated.connect(self.display.set_colormap)
        self.display.changed.connect(self._show)
        self.model.case_changed.connect(self._show)
        self._show()

    def _actions(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        for k, action in enumerate(ACTIONS):
            action_button = button(action.title, action.tip)
            action_button.clicked.connect(lambda _=False, a=action: self._run(a))
            self.buttons[action.title] = action_button
            grid.addWidget(action_button, k, 0)
            grid.addWidget(QLabel(f"<b>{key_text(action.key)}</b>"), k, 1)
        return grid

    def _run(self, action: Action) -> None:
        action.run(self.display, self.display.viewer)

    def _choose_window(self, index: int) -> None:
        layer = self.display.active_modality()
        if layer is not None:
            self.display.set_window(self.display.window_presets(layer)[index])

    def _show(self) -> None:
        layer = self.display.active_modality() if self.model.case is not None else None
        self.empty.setVisible(layer is None)
        for part in (*self.buttons.values(), self.windows):
            part.setEnabled(layer is not None)
        self.windows.clear()
        self.colours.clear()
        self.colours.setVisible(layer is not None and bool(self.display.colormaps_of(layer)))
        if layer is None:
            return
        shows = require_metadata(layer).shows
        self.window_label.setText(f"Window of {shows}")
        presets = self.display.window_presets(layer)
        current = self.display.window_preset(layer) or DEFAULT_WINDOW
        self.windows.addItems([window.name for window in presets])
        self.windows.setCurrentIndex(presets.index(current) if current in presets else 0)
        colours = self.display.colormaps_of(layer)
        self.colours.addItems(colours)
        matches = [name for name, value in colours.items() if value == layer.colormap.name]
        self.colours.setCurrentText(next(iter(matches), ""))

"""Forms of typed dataclasses; magicgui chooses and builds the widget of each field."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from magicgui.widgets import CheckBox, create_widget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtWidgets import QLabel, QWidget

from napari_ciml.widgets.panels.common import form_layout

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


class Form(Generic[Options]):
    """Form with one labelled widget per field of a dataclass.

    Fields are annotated as magicgui expects, for instance
    ``beta: Annotated[float, {"label": "Beta", "min": 0.0, "tooltip": "Trade-off of eq. 8."}]``.

    Parameters
    ----------
    values : dataclass instance
        Initial values.

    Attributes
    ----------
    native : QWidget
        Qt widget of the form.
    widgets : dict of str to magicgui.widgets.bases.ValueWidget
        Widgets by the name of their field.
    """

    def __init__(self, values: Options) -> None:
        self._kind = type(values)
        self.native = QWidget()
        self.widgets: dict[str, ValueWidget[Any]] = {}
        self._layout = form_layout()
        self.native.setLayout(self._layout)
        annotations = get_type_hints(self._kind, include_extras=True)
        for field in fields(values):
            value = getattr(values, field.name)
            self._add(field.name, create_widget(value, annotations[field.name], name=field.name))

    def values(self) -> Options:
        """Return the values of the form as an instance of the dataclass."""
        return self._kind(**{name: widget.value for name, widget in self.widgets.items()})

    def _add(self, name: str, widget: Any) -> None:
        assert isinstance(widget, ValueWidget)
        self.widgets[name] = widget
        if isinstance(widget, CheckBox):
            self._layout.addRow(widget.native)
            return
        label = QLabel(widget.label)
        label.setToolTip(widget.tooltip or "")
        self._layout.addRow(label, widget.native)

"""A viewer with all dock widgets of the plugin, as the manifest lists them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeVar

import napari
from napari.components import ViewerModel
from napari.settings import get_settings
from npe2 import PluginManifest
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_ciml.errors import CimlError
from napari_ciml.widgets.controllers.session import Session, get_session
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.dock_tabs import MENU_SUFFIX, set_vertical_tabs

MANIFEST = Path(__file__).parents[1] / "napari.yaml"

AnyDock = TypeVar("AnyDock", bound=Dock)


@dataclass(frozen=True)
class DockContribution:
    """A dock widget as the manifest lists it.

    Parameters
    ----------
    name : str
        Text of its tab and of its entry in the menu.
    command : str
        Last part of its command's identifier, as ``case`` of ``napari-ciml.case``.
    python_name : str
        Module and class, as ``package.module:Class``.
    """

    name: str
    command: str
    python_name: str

    def create(self, viewer: ViewerModel) -> Dock:
        """Import the class and build the dock widget."""
        dock = resolve_name(self.python_name)(viewer)
        assert isinstance(dock, Dock)
        return dock


@cache
def dock_contributions() -> tuple[DockContribution, ...]:
    """Return the dock widgets of the manifest, in its order."""
    contributions = PluginManifest.from_file(MANIFEST).contributions
    python_names = {command.id: command.python_name for command in contributions.commands or ()}
    return tuple(
        DockContribution(
            widget.display_name,
            widget.command.rpartition(".")[2],
            str(python_names[widget.command]),
        )
        for widget in contributions.widgets or ()
    )


class Workbench:
    """A viewer with its dock widgets.

    A dock widget is also an attribute by the name of its command: ``workbench.case``.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer that shows the session; a `napari.Viewer` has a window, too.
    docks : dict of str to Dock
        Dock widgets by display name, in the manifest's order.
    """

    def __init__(self, viewer: ViewerModel, docks: dict[str, Dock]) -> None:
        self.viewer, self.docks = viewer, docks
        self.session: Session = get_session(viewer)

    def __getattr__(self, command: str) -> Any:
        """Return a dock widget by the name of its command."""
        for contribution in dock_contributions():
            if contribution.command == command:
                return self.docks[contribution.name]
        raise AttributeError(f"No dock widget has the command {command!r}.")

    def dock(self, kind: type[AnyDock]) -> AnyDock:
        """Return the dock widget of a class."""
        return next(dock for dock in self.docks.values() if isinstance(dock, kind))

    def run_and_wait(self, intent: Callable[[], None]) -> None:
        """Call an intent and process events until no job runs.

        Raises
        ------
        CimlError
            If a job fails.
        """
        failures: list[str] = []
        runners = (self.session.jobs.main, self.session.jobs.io)

        def on_failed(sentence: str, details: str) -> None:
            failures.append(" ".join(filter(None, (sentence, details))))

        for runner in runners:
            runner.failed.connect(on_failed)
        intent()
        while any(runner.busy for runner in runners):
            QApplication.processEvents()
            time.sleep(0.005)
        for runner in runners:
            runner.failed.disconnect(on_failed)
        process_events()
        if failures:
            raise CimlError(failures[0])


def create_dock_widgets(viewer: ViewerModel) -> Workbench:
    """Create all dock widgets of the manifest, outside of any window."""
    return Workbench(viewer, {dock.name: dock.create(viewer) for dock in dock_contributions()})


def add_dock_widgets(viewer: napari.Viewer) -> Workbench:
    """Add all dock widgets of the manifest to a viewer, tabbed on the right."""
    workbench = create_dock_widgets(viewer)
    first = next(iter(workbench.docks))
    with defer_settings_save():
        for name, widget in workbench.docks.items():
            frame = viewer.window.add_dock_widget(
                widget, name=f"{name}{MENU_SUFFIX}", area="right", tabify=name != first
            )
    window = frame.window()
    if isinstance(window, QMainWindow):
        set_vertical_tabs(window)
    return workbench


@contextmanager
def defer_settings_save() -> Iterator[None]:
    """Write napari's settings once at the end, not twice for every dock widget."""
    settings = get_settings()
    settings._save_on_change = False
    try:
        yield
    finally:
        settings._save_on_change = True
        settings._maybe_save()


def process_events(seconds: float = 0.5) -> None:
    """Process events of the window for a while, so that it is drawn."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.01)

"""What the docks have in common that are about the label map that is looked at."""

from typing import TYPE_CHECKING

from napari_ciml.widgets.panels.dock import Dock

if TYPE_CHECKING:
    from napari.viewer import Viewer


class LabelMapDock(Dock):
    """A dock about the label map that is looked at: who measures it, keeps it, and what was found.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where it is shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.findings = self.model.findings
        self.measuring, self.keeping = self.session.label_maps, self.session.autosave

"""What a controller is given."""

from dataclasses import dataclass

from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.display.display import DisplayController
from napari_ciml.widgets.jobs import Jobs
from napari_ciml.widgets.layers.case_layers import CaseLayers


@dataclass(frozen=True)
class Context:
    """The parts of a session that every controller may use.

    A controller that needs another controller is given that one besides.

    Parameters
    ----------
    model : SessionModel
        The state; a controller changes it through its methods.
    layers : CaseLayers
        The layers of the viewer.
    display : DisplayController
        Layouts, window/level and mouse callbacks.
    jobs : Jobs
        The queues.
    """

    model: SessionModel
    layers: CaseLayers
    display: DisplayController
    jobs: Jobs

"""The pictures of the user guide: the sample case in each state, small."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from qtpy.QtCore import QBuffer, QIODevice
from qtpy.QtWidgets import QApplication, QWidget

from napari_ciml.files import prepare_folder, replacing
from napari_ciml.resources import sample_data
from napari_ciml.widgets.desk import Desk, settle
from napari_ciml.widgets.panels.tabs import bring_forward

_WIDTH, _COLOURS = 960, 192
"""Of a picture, so that it stays below 150 kB."""


def draw_guide(desk: Desk, output: Path) -> None:
    """Write the guide's pictures, from a desk with a case open.

    Parameters
    ----------
    desk : Desk
        With the sample case.
    output : pathlib.Path
        Folder; made if need be.

    Raises
    ------
    CimlError
        If it cannot be written to, or a step fails.
    """
    folder = prepare_folder(output)
    desk.do(desk.session.running.segment)
    bring_forward(desk.guide)
    _window(desk, folder / "guide.png")
    _looking(desk, folder)
    desk.segment.read.click()
    if desk.segment.page is not None:
        settle()
        _widget(desk.segment.page, folder / "about.png")
        desk.segment.page.close()
    _explaining(desk, folder)
    _living(desk, folder)
    _going_on(desk, folder)


def _looking(desk: Desk, folder: Path) -> None:
    """Draw modalities side by side, and three planes."""
    looking = desk.session.looking
    bring_forward(desk.view)
    looking.overlaid.toggle_outline()
    looking.arranging.toggle("panes")
    _arranged(desk)
    _window(desk, folder / "side-by-side.png")
    looking.arranging.toggle("planes")
    _arranged(desk)
    _window(desk, folder / "planes.png")
    looking.arranging.toggle("planes")
    _arranged(desk)


def _explaining(desk: Desk, folder: Path) -> None:
    """Draw the weights of the case, its lesions, and why one of them."""
    session = desk.session
    desk.do(session.running.explain)
    bring_forward(desk.explain)
    found = session.review.explanation
    if found is not None and found.strongest is not None:
        strongest = found.strongest
        desk.do(lambda: desk.explain.choose(*strongest))
    _window(desk, folder / "explain.png")
    _until(lambda: not session.measuring.runner.busy)
    bring_forward(desk.lesions)
    listed = session.review.findings.to_look_at()
    inner = [k for k, lesion in enumerate(listed) if lesion.region == "ET"]
    desk.lesions.lesions.setCurrentCell(inner[0] if inner else 0, 1)
    desk.do(desk.lesions.why.click)
    _window(desk, folder / "lesions.png")
    bring_forward(desk.explain)
    _window(desk, folder / "why.png")
    session.questions.map.hide()


def _living(desk: Desk, folder: Path) -> None:
    """Draw an edit, and what it changed."""
    session = desk.session
    session.live.set_on(True)
    bring_forward(desk.decomposition)
    session.review.set_threshold("WT", 0.25)
    _until(lambda: session.live.change is not None and not session.runner.busy)
    _window(desk, folder / "live.png")


def _going_on(desk: Desk, folder: Path) -> None:
    """Draw a worklist of the phantoms that ship: the second open, the third prepared meanwhile."""
    rounds = desk.worklist.rounds
    bring_forward(desk.worklist)
    with TemporaryDirectory(prefix="worklist-") as place:
        desk.do(lambda: rounds.open(sample_data() / "replay", Path(place)))
        desk.do(lambda: rounds.go(0))
        desk.do(desk.session.running.segment)
        desk.do(lambda: rounds.go(1))
        _until(lambda: not desk.session.runner.busy)
        _window(desk, folder / "worklist.png")
        rounds.set_ahead(False)


def _until(done: Callable[[], bool]) -> None:
    while not done():
        QApplication.processEvents()
        time.sleep(0.005)


def _arranged(desk: Desk) -> None:
    """Wait until panes and planes are there."""
    looking = desk.session.looking
    settle()
    _until(lambda: not looking.arranging.busy)
    settle()


def _window(desk: Desk, path: Path) -> None:
    settle()
    _write(desk.viewer.screenshot(canvas_only=False, flash=False), path)


def _widget(widget: QWidget, path: Path) -> None:
    from PIL import Image

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.ReadWrite)
    widget.grab().save(buffer, "PNG")
    _write(np.asarray(Image.open(io.BytesIO(bytes(buffer.data())))), path)


def _write(picture: np.ndarray, path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(picture[..., :3])
    height = round(image.height * _WIDTH / image.width)
    if image.width > _WIDTH:
        image = image.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    with replacing(path) as temporary:
        # An octree keeps rare colours, as those of letters and labels.
        few = image.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(temporary, "PNG", optimize=True)

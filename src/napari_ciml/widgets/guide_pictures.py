"""The pictures of the user guide: the sample case in each state, small."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from qtpy.QtCore import QBuffer, QIODevice
from qtpy.QtWidgets import QApplication, QWidget

from napari_ciml.files import atomic_write, ensure_writable_folder
from napari_ciml.paths import sample_data
from napari_ciml.widgets.panels.dock_tabs import bring_forward
from napari_ciml.widgets.workbench import Workbench, process_events

_WIDTH, _COLOURS = 960, 192
"""Of a picture, so that it stays below 150 kB."""


def draw_guide(desk: Workbench, output: Path) -> None:
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
    folder = ensure_writable_folder(output)
    desk.run_and_wait(desk.session.segmentation.segment)
    bring_forward(desk.guide)
    _window(desk, folder / "guide.png")
    _looking(desk, folder)
    desk.segment.about.click()
    if desk.segment.dialog is not None:
        process_events()
        _widget(desk.segment.dialog, folder / "about.png")
        desk.segment.dialog.close()
    _explaining(desk, folder)
    _living(desk, folder)
    _going_on(desk, folder)


def _looking(desk: Workbench, folder: Path) -> None:
    """Draw modalities side by side, and three planes."""
    looking = desk.session.display
    bring_forward(desk.view)
    looking.overlays.toggle_outline()
    looking.layouts.toggle("panes")
    _arranged(desk)
    _window(desk, folder / "side-by-side.png")
    looking.layouts.toggle("planes")
    _arranged(desk)
    _window(desk, folder / "planes.png")
    looking.layouts.toggle("planes")
    _arranged(desk)


def _explaining(desk: Workbench, folder: Path) -> None:
    """Draw the weights of the case, its lesions, and why one of them."""
    session = desk.session
    desk.run_and_wait(session.explanation.explain)
    bring_forward(desk.explain)
    found = session.model.explanation
    if found is not None and found.strongest is not None:
        strongest = found.strongest
        desk.run_and_wait(lambda: desk.explain.choose(*strongest))
    _window(desk, folder / "explain.png")
    _until(lambda: not session.jobs.measure.busy)
    bring_forward(desk.lesions)
    listed = session.model.findings.review_queue()
    inner = [k for k, lesion in enumerate(listed) if lesion.region == "ET"]
    desk.lesions.lesions.setCurrentCell(inner[0] if inner else 0, 1)
    desk.run_and_wait(desk.lesions.explain.click)
    _window(desk, folder / "lesions.png")
    bring_forward(desk.explain)
    _window(desk, folder / "why.png")
    session.explanation.map.hide()


def _living(desk: Workbench, folder: Path) -> None:
    """Draw an edit, and what it changed."""
    session = desk.session
    session.live.set_on(True)
    bring_forward(desk.decomposition)
    session.model.set_threshold("WT", 0.25)
    _until(lambda: session.model.change is not None and not session.jobs.main.busy)
    _window(desk, folder / "live.png")


def _going_on(desk: Workbench, folder: Path) -> None:
    """Draw a worklist of the phantoms that ship: the second open, the third prepared meanwhile."""
    rounds = desk.session.worklist
    bring_forward(desk.worklist)
    with TemporaryDirectory(prefix="worklist-") as place:
        desk.run_and_wait(lambda: rounds.open(sample_data() / "replay", Path(place)))
        desk.run_and_wait(lambda: rounds.go(0))
        desk.run_and_wait(desk.session.segmentation.segment)
        desk.run_and_wait(lambda: rounds.go(1))
        _until(lambda: not desk.session.jobs.main.busy)
        _window(desk, folder / "worklist.png")
        rounds.set_prefetch(False)


def _until(done: Callable[[], bool]) -> None:
    while not done():
        QApplication.processEvents()
        time.sleep(0.005)


def _arranged(desk: Workbench) -> None:
    """Wait until panes and planes are there."""
    looking = desk.session.display
    process_events()
    _until(lambda: not looking.layouts.busy)
    process_events()


def _window(desk: Workbench, path: Path) -> None:
    process_events()
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
    with atomic_write(path) as temporary:
        # An octree keeps rare colours, as those of letters and labels.
        few = image.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(temporary, "PNG", optimize=True)

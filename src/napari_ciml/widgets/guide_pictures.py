"""Draw the pictures of the user guide from the sample case."""

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
"""Width in pixels and colours of a picture, so that it stays below 150 kB."""


def draw_guide(workbench: Workbench, output: Path) -> None:
    """Write the pictures of the guide.

    Parameters
    ----------
    workbench : Workbench
        Workbench with the sample case open.
    output : pathlib.Path
        Folder; created if needed.

    Raises
    ------
    CimlError
        If the folder cannot be written to, or a step fails.
    """
    folder = ensure_writable_folder(output)
    workbench.run_and_wait(workbench.session.segmentation.segment)
    bring_forward(workbench.guide)
    _save_window(workbench, folder / "guide.png")
    _draw_layouts(workbench, folder)
    workbench.segment.about.click()
    if workbench.segment.dialog is not None:
        process_events()
        _save_widget(workbench.segment.dialog, folder / "about.png")
        workbench.segment.dialog.close()
    _draw_explanation(workbench, folder)
    _draw_live_edit(workbench, folder)
    _draw_worklist(workbench, folder)


def _draw_layouts(workbench: Workbench, folder: Path) -> None:
    """Draw the layouts: modalities side by side, and three planes."""
    display = workbench.session.display
    bring_forward(workbench.view)
    display.overlays.toggle_outline()
    display.layouts.toggle("panes")
    _wait_for_layout(workbench)
    _save_window(workbench, folder / "side-by-side.png")
    display.layouts.toggle("planes")
    _wait_for_layout(workbench)
    _save_window(workbench, folder / "planes.png")
    display.layouts.toggle("planes")
    _wait_for_layout(workbench)


def _draw_explanation(workbench: Workbench, folder: Path) -> None:
    """Draw the weights of the case, its lesions, and the explanation of one."""
    session = workbench.session
    workbench.run_and_wait(session.explanation.explain)
    bring_forward(workbench.explain)
    explanation = session.model.explanation
    if explanation is not None and explanation.strongest is not None:
        strongest = explanation.strongest
        workbench.run_and_wait(lambda: workbench.explain.choose(*strongest))
    _save_window(workbench, folder / "explain.png")
    _wait_until(lambda: not session.jobs.measure.busy)
    bring_forward(workbench.lesions)
    lesions = session.model.findings.review_queue()
    enhancing = [k for k, lesion in enumerate(lesions) if lesion.region == "ET"]
    workbench.lesions.lesions.setCurrentCell(enhancing[0] if enhancing else 0, 1)
    workbench.run_and_wait(workbench.lesions.explain.click)
    _save_window(workbench, folder / "lesions.png")
    bring_forward(workbench.explain)
    _save_window(workbench, folder / "why.png")
    session.explanation.map.hide()


def _draw_live_edit(workbench: Workbench, folder: Path) -> None:
    """Draw the changes by a live edit."""
    session = workbench.session
    session.live.set_on(True)
    bring_forward(workbench.decomposition)
    session.model.set_threshold("WT", 0.25)
    _wait_until(lambda: session.model.change is not None and not session.jobs.main.busy)
    _save_window(workbench, folder / "live.png")


def _draw_worklist(workbench: Workbench, folder: Path) -> None:
    """Draw a worklist of the bundled phantoms, with the second one open."""
    worklist = workbench.session.worklist
    bring_forward(workbench.worklist)
    with TemporaryDirectory(prefix="worklist-") as state_folder:
        workbench.run_and_wait(lambda: worklist.open(sample_data() / "replay", Path(state_folder)))
        workbench.run_and_wait(lambda: worklist.go(0))
        workbench.run_and_wait(workbench.session.segmentation.segment)
        workbench.run_and_wait(lambda: worklist.go(1))
        _wait_until(lambda: not workbench.session.jobs.main.busy)
        _save_window(workbench, folder / "worklist.png")
        worklist.set_prefetch(False)


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        QApplication.processEvents()
        time.sleep(0.005)


def _wait_for_layout(workbench: Workbench) -> None:
    """Wait until the layout has changed and is drawn."""
    display = workbench.session.display
    process_events()
    _wait_until(lambda: not display.layouts.busy)
    process_events()


def _save_window(workbench: Workbench, path: Path) -> None:
    process_events()
    _write(workbench.viewer.screenshot(canvas_only=False, flash=False), path)


def _save_widget(widget: QWidget, path: Path) -> None:
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
        # An octree preserves rare colours, as those of letters and labels.
        palette_image = image.quantize(
            _COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        palette_image.save(temporary, "PNG", optimize=True)

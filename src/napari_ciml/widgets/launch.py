"""What the command line shows: a case, or the demo; in a window or as pictures of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import napari

from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.cases.skull_stripping import BrainFinder
from napari_ciml.decomposition import edits
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.storage.schema import is_session
from napari_ciml.widgets.panels.dock_tabs import bring_forward
from napari_ciml.widgets.workbench import Workbench, add_dock_widgets, process_events

SIZE = (1280, 800)


@dataclass(frozen=True)
class LaunchOptions:
    """What to open, as the command line says it.

    Parameters
    ----------
    case : pathlib.Path
        Folder or 4-D file.
    channels, overrides, reference, align
        As `napari_ciml.cases.case.open_case`.
    find_brain : callable, optional
        What finds the brain in brain MR that shows the skull; by default that is offered.
    quiet_skull : bool
        Say nothing of a skull.
    checkpoint : pathlib.Path, optional
        By default the user's, or the shipped one.
    decomposition : Decomposition, optional
        By default the checkpoint's.
    settings : SegmentSettings
        Device, engine, muted messages and options of the first run.
    """

    case: Path
    channels: Sequence[str] | None = None
    overrides: Mapping[str, Path] = field(default_factory=dict)
    reference: str | None = None
    align: RegistrationSettings | None = None
    find_brain: BrainFinder | None = None
    quiet_skull: bool = False
    checkpoint: Path | None = None
    decomposition: Decomposition | None = None
    settings: SegmentSettings = field(default_factory=SegmentSettings)


def open_viewer(opening: LaunchOptions, *, run: bool, screenshot: Path | None) -> None:
    """Open the viewer on a case; with ``screenshot`` save a picture of the window and leave.

    Raises
    ------
    CimlError
        If the case cannot be opened or, with ``run``, not be segmented.
    """
    if screenshot is not None:
        ensure_writable_folder(screenshot.parent)
    desk = _desk(opening)
    if run:
        _segment_and_explain(desk)
    if screenshot is None:
        napari.run()
        return
    _picture(desk, screenshot)
    desk.viewer.close()


def show_demo(output: Path | None) -> None:
    """Open the sample case, segmented and explained; with ``output`` leave pictures and results.

    Raises
    ------
    CimlError
        If the sample data is missing or the folder cannot be written to.
    """
    folder = ensure_writable_folder(output) if output is not None else None
    desk = _desk(LaunchOptions(sample_data() / "glioma"))
    if folder is None:
        _segment_and_explain(desk)
        napari.run()
        return
    _picture(desk, folder / "case.png")
    bring_forward(desk.decomposition)
    _picture(desk, folder / "decomposition.png")
    bring_forward(desk.segment)
    desk.run_and_wait(desk.session.segmentation.segment)
    _picture(desk, folder / "segmentation.png")
    _explain(desk)
    _picture(desk, folder / "maps.png")
    _write(desk, folder)
    desk.viewer.close()
    print(f"Pictures and results are in {folder}")  # noqa: T201 - the command's own output


def show_guide(output: Path) -> None:
    """Write the pictures of the user guide, of the sample case.

    Raises
    ------
    CimlError
        If the sample data is missing or the folder cannot be written to.
    """
    from napari_ciml.widgets.guide_pictures import draw_guide

    desk = _desk(LaunchOptions(sample_data() / "glioma"))
    draw_guide(desk, output)
    desk.viewer.close()


def _desk(opening: LaunchOptions) -> Workbench:
    desk = add_dock_widgets(_window())
    session, model = desk.session, desk.session.model
    model.set_device(opening.settings.device)
    session.skull_stripping.enabled = not opening.quiet_skull
    model.set_engine(opening.settings.engine)
    if opening.checkpoint is not None:
        model.set_checkpoint(opening.checkpoint)
    known = model.info.decomposition if model.info is not None else model.decomposition
    decomposition = edits.mute_messages(opening.decomposition or known, opening.settings.muted)
    options = opening.settings.options
    if options.multiscale is None:
        options = replace(options, multiscale=model.request.options.multiscale)
    model.reset_request(SegmentationRequest(decomposition, options))
    if is_session(opening.case):
        desk.run_and_wait(lambda: session.persistence.open(opening.case))
        bring_forward(desk.case)
        return desk
    where = (
        opening.case,
        opening.channels,
        opening.overrides,
        opening.reference,
        opening.align,
        opening.find_brain,
    )
    desk.run_and_wait(lambda: session.cases.open(*where))
    if model.sources.issues():
        raise InputError(f"{opening.case}: {model.sources.issues()[0]}")
    bring_forward(desk.case)
    return desk


def _window() -> napari.Viewer:
    viewer = napari.Viewer(title="napari-ciml")
    viewer.window.resize(*SIZE)
    return viewer


def _segment_and_explain(desk: Workbench) -> None:
    desk.run_and_wait(desk.session.segmentation.segment)
    _explain(desk)


def _explain(desk: Workbench) -> None:
    """Explain, and show the strongest map."""
    desk.run_and_wait(desk.session.explanation.explain)
    bring_forward(desk.explain)
    found = desk.session.model.explanation
    if found is not None and found.strongest is not None:
        strongest = found.strongest
        desk.run_and_wait(lambda: desk.explain.choose(*strongest))


def _picture(desk: Workbench, path: Path) -> None:
    process_events()
    desk.viewer.screenshot(str(path), canvas_only=False, flash=False)


def _write(desk: Workbench, folder: Path) -> None:
    from napari_ciml.export.bundle import ExportOptions, Kind, export_results

    kinds: frozenset[Kind] = frozenset({"labels", "probabilities", "maps", "tables", "report"})
    export_results(
        folder, desk.session.persistence.results(), ExportOptions(kinds), ProgressMonitor()
    )

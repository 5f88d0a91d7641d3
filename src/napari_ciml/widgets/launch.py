"""Open the viewer from the command line: a case, the demo or the guide's pictures."""

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
    """Case and settings that the viewer is opened with.

    Parameters
    ----------
    case : pathlib.Path
        Folder or 4-D file.
    channels, overrides, reference, align
        As `napari_ciml.cases.case.open_case`.
    find_brain : callable, optional
        Finds the brain in brain MR that shows the skull; by default the user is offered that.
    quiet_skull : bool
        Do not look for a skull.
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


def open_viewer(options: LaunchOptions, *, run: bool, screenshot: Path | None) -> None:
    """Open a case in the viewer; with ``screenshot`` save a picture of the window and return.

    Raises
    ------
    CimlError
        If the case cannot be opened or, with ``run``, not be segmented.
    """
    if screenshot is not None:
        ensure_writable_folder(screenshot.parent)
    workbench = _open_workbench(options)
    if run:
        _segment_and_explain(workbench)
    if screenshot is None:
        napari.run()
        return
    _picture(workbench, screenshot)
    workbench.viewer.close()


def show_demo(output: Path | None) -> None:
    """Open the sample case, segmented and explained; with ``output`` write pictures and results.

    Raises
    ------
    CimlError
        If the sample data is missing or the folder cannot be written to.
    """
    folder = ensure_writable_folder(output) if output is not None else None
    workbench = _open_workbench(LaunchOptions(sample_data() / "glioma"))
    if folder is None:
        _segment_and_explain(workbench)
        napari.run()
        return
    _picture(workbench, folder / "case.png")
    bring_forward(workbench.decomposition)
    _picture(workbench, folder / "decomposition.png")
    bring_forward(workbench.segment)
    workbench.run_and_wait(workbench.session.segmentation.segment)
    _picture(workbench, folder / "segmentation.png")
    _explain(workbench)
    _picture(workbench, folder / "maps.png")
    _write(workbench, folder)
    workbench.viewer.close()
    print(f"Pictures and results are in {folder}")  # noqa: T201 - the command's own output


def show_guide(output: Path) -> None:
    """Write the pictures of the user guide, of the sample case.

    Raises
    ------
    CimlError
        If the sample data is missing or the folder cannot be written to.
    """
    from napari_ciml.widgets.guide_pictures import draw_guide

    workbench = _open_workbench(LaunchOptions(sample_data() / "glioma"))
    draw_guide(workbench, output)
    workbench.viewer.close()


def _open_workbench(options: LaunchOptions) -> Workbench:
    workbench = add_dock_widgets(_window())
    session, model = workbench.session, workbench.session.model
    model.set_device(options.settings.device)
    session.skull_stripping.enabled = not options.quiet_skull
    model.set_engine(options.settings.engine)
    if options.checkpoint is not None:
        model.set_checkpoint(options.checkpoint)
    known = model.info.decomposition if model.info is not None else model.decomposition
    decomposition = edits.mute_messages(options.decomposition or known, options.settings.muted)
    run_options = options.settings.options
    if run_options.multiscale is None:
        run_options = replace(run_options, multiscale=model.request.options.multiscale)
    model.reset_request(SegmentationRequest(decomposition, run_options))
    if is_session(options.case):
        workbench.run_and_wait(lambda: session.persistence.open(options.case))
        bring_forward(workbench.case)
        return workbench
    workbench.run_and_wait(
        lambda: session.cases.open(
            options.case,
            options.channels,
            options.overrides,
            options.reference,
            options.align,
            options.find_brain,
        )
    )
    if model.sources.issues():
        raise InputError(f"{options.case}: {model.sources.issues()[0]}")
    bring_forward(workbench.case)
    return workbench


def _window() -> napari.Viewer:
    viewer = napari.Viewer(title="napari-ciml")
    viewer.window.resize(*SIZE)
    return viewer


def _segment_and_explain(workbench: Workbench) -> None:
    workbench.run_and_wait(workbench.session.segmentation.segment)
    _explain(workbench)


def _explain(workbench: Workbench) -> None:
    """Explain, and show the strongest map."""
    workbench.run_and_wait(workbench.session.explanation.explain)
    bring_forward(workbench.explain)
    explanation = workbench.session.model.explanation
    if explanation is not None and explanation.strongest is not None:
        strongest = explanation.strongest
        workbench.run_and_wait(lambda: workbench.explain.choose(*strongest))


def _picture(workbench: Workbench, path: Path) -> None:
    process_events()
    workbench.viewer.screenshot(str(path), canvas_only=False, flash=False)


def _write(workbench: Workbench, folder: Path) -> None:
    from napari_ciml.export.bundle import ExportOptions, Kind, export_results

    kinds: frozenset[Kind] = frozenset({"labels", "probabilities", "maps", "tables", "report"})
    export_results(
        folder, workbench.session.persistence.results(), ExportOptions(kinds), ProgressMonitor()
    )

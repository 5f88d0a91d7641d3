"""What the command line shows: a case, or the demo; in a window or as pictures of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import napari

from napari_ciml import editing
from napari_ciml.cases.brain import BrainFinder
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.decomposition import Decomposition, Message
from napari_ciml.errors import InputError
from napari_ciml.files import prepare_folder
from napari_ciml.monitor import Monitor
from napari_ciml.resources import sample_data
from napari_ciml.saved.models import is_session
from napari_ciml.whatif.asked import Asked
from napari_ciml.widgets.desk import Desk, lay_out, settle
from napari_ciml.widgets.panels.tabs import bring_forward

SIZE = (1280, 800)


@dataclass(frozen=True)
class Opening:
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
    device : str
        Where to compute.
    engine : str
        What computes.
    muted : frozenset of Message
        Messages that are not passed.
    clean, mirror : bool
    coarser : bool, optional
        As of `napari_ciml.inference.settings.SegmentSettings`.
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
    device: str = "auto"
    engine: str = "auto"
    muted: frozenset[Message] = frozenset()
    clean: bool = True
    mirror: bool = False
    coarser: bool | None = None


def open_viewer(opening: Opening, *, run: bool, screenshot: Path | None) -> None:
    """Open the viewer on a case; with ``screenshot`` save a picture of the window and leave.

    Raises
    ------
    CimlError
        If the case cannot be opened or, with ``run``, not be segmented.
    """
    if screenshot is not None:
        prepare_folder(screenshot.parent)
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
    folder = prepare_folder(output) if output is not None else None
    desk = _desk(Opening(sample_data() / "glioma"))
    if folder is None:
        _segment_and_explain(desk)
        napari.run()
        return
    _picture(desk, folder / "case.png")
    bring_forward(desk.decomposition)
    _picture(desk, folder / "decomposition.png")
    bring_forward(desk.segment)
    desk.do(desk.session.running.segment)
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

    desk = _desk(Opening(sample_data() / "glioma"))
    draw_guide(desk, output)
    desk.viewer.close()


def _desk(opening: Opening) -> Desk:
    desk = lay_out(_window())
    session, review = desk.session, desk.session.review
    review.set_device(opening.device)
    desk.case.brain.quiet = opening.quiet_skull
    review.set_engine(opening.engine)
    if opening.checkpoint is not None:
        review.set_checkpoint(opening.checkpoint)
    known = review.info.decomposition if review.info is not None else review.decomposition
    whole = editing.without_messages(opening.decomposition or known, opening.muted)
    coarser = review.asked.coarser if opening.coarser is None else opening.coarser
    review.start_from(Asked(whole, clean=opening.clean, mirror=opening.mirror, coarser=coarser))
    if is_session(opening.case):
        desk.do(lambda: session.leaving.open(opening.case))
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
    desk.do(lambda: session.open(*where))
    if review.scan_problems():
        raise InputError(f"{opening.case}: {review.scan_problems()[0]}")
    bring_forward(desk.case)
    return desk


def _window() -> napari.Viewer:
    viewer = napari.Viewer(title="napari-ciml")
    viewer.window.resize(*SIZE)
    return viewer


def _segment_and_explain(desk: Desk) -> None:
    desk.do(desk.session.running.segment)
    _explain(desk)


def _explain(desk: Desk) -> None:
    """Explain, and show the strongest map."""
    desk.do(desk.session.running.explain)
    bring_forward(desk.explain)
    found = desk.session.review.explanation
    if found is not None and found.strongest is not None:
        strongest = found.strongest
        desk.do(lambda: desk.explain.choose(*strongest))


def _picture(desk: Desk, path: Path) -> None:
    settle()
    desk.viewer.screenshot(str(path), canvas_only=False, flash=False)


def _write(desk: Desk, folder: Path) -> None:
    from napari_ciml.export.bundle import Kind, Wish, write_bundle

    kinds: frozenset[Kind] = frozenset({"labels", "probabilities", "maps", "tables", "report"})
    write_bundle(folder, desk.session.leaving.results(), Wish(kinds), Monitor())

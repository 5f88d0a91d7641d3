"""Check whether modalities are aligned, align them, judge the result, take it back."""

import numpy as np
from psygnal import Signal

from napari_ciml.cases.alignment import Misalignment, checkerboard, detect_misalignment
from napari_ciml.cases.case import Case
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.generation import Counter
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.widgets.controllers.case_loading import ALIGNING, CaseController
from napari_ciml.widgets.controllers.context import Context

CHECKING, DRAWING = "Checking the alignment", "Drawing the checkerboard"


class AlignmentController:
    """Aligns the modalities of the open case.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    cases : CaseController
        Loads and shows the case.

    Attributes
    ----------
    before : LoadedCase or None
        The case before it was aligned.
    misalignments : tuple of Misalignment
        Modalities of the open case that look misaligned.

    Signals
    -------
    changed()
        Another case, or the case was aligned or taken back.
    misalignments_changed()
        ``misalignments`` has another value.
    """

    changed = Signal()
    misalignments_changed = Signal()

    def __init__(self, context: Context, cases: CaseController) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.cases = cases
        self.before: LoadedCase | None = None
        self.misalignments: tuple[Misalignment, ...] = ()
        self._last: LoadedCase | None = None
        self._checkerboard = Counter()
        self.model.case_changed.connect(self._on_case)

    def align(self, kind: str) -> None:
        """Register the modalities to the reference, ``rigid`` or ``affine``.

        Raises
        ------
        InputError
            If nothing is open, or there is something to decide first.
        """
        self.cases.load(RegistrationSettings(kind="affine" if kind == "affine" else "rigid"))

    def undo(self) -> None:
        """Show the case as it was before it was aligned."""
        before = self.before
        if before is not None:
            self.jobs.main.submit(ALIGNING, lambda _: before, self.cases.show)

    def show_checkerboard(self, modality: str, *, before: bool, title: str) -> None:
        """Show a modality and the reference in turn, tile by tile.

        Parameters
        ----------
        modality : str
            Any but the reference.
        before : bool
            As it was before it was aligned.
        title : str
            Of the layer.
        """
        loaded = self.model.loaded
        if loaded is None:
            return
        case = loaded.case
        source = self.before if before and self.before is not None else loaded
        self._checkerboard.advance()

        def work(_: ProgressMonitor) -> np.ndarray:
            limits = loaded.limits[case.reference], source.limits[modality]
            images = case.images[case.reference], source.case.images[modality]
            return checkerboard(*images, limits, case.grid)

        def done(values: np.ndarray) -> None:
            self.layers.show_checkerboard(case, values, f"{title} / {case.reference}")

        self.jobs.main.submit(DRAWING, work, done, generation=self._checkerboard.now())

    def hide_checkerboard(self) -> None:
        """Remove the checkerboard."""
        self._checkerboard.advance()
        self.layers.hide_checkerboard()

    def _on_case(self) -> None:
        """Remember the case before an alignment; check a case that was not aligned."""
        now, last = self.model.loaded, self._last
        if now is None or now is last:
            return
        self._last = now
        if last is not None and now.case.images is last.case.images:
            return  # a brain mask was added or removed
        self._checkerboard.advance()
        aligned, undone = bool(now.case.transforms), now is self.before
        if not aligned:
            self.before = None
        elif last is not None and not last.case.transforms and _same_sources(last.case, now.case):
            self.before = last
        elif self.before is not None and not _same_sources(self.before.case, now.case):
            self.before = None
        self.misalignments = ()
        self.misalignments_changed.emit()
        self.changed.emit()
        if not aligned and not undone and len(now.case.images) > 1:
            self._check(now.case)

    def _check(self, case: Case) -> None:
        def work(monitor: ProgressMonitor) -> tuple[Misalignment, ...]:
            return detect_misalignment(case.images, case.grid, case.reference, monitor)

        def done(misalignments: tuple[Misalignment, ...]) -> None:
            self.misalignments = misalignments
            self.misalignments_changed.emit()

        self.jobs.main.submit(CHECKING, work, done, generation=self.model.generations.case.now())


def _same_sources(one: Case, other: Case) -> bool:
    """Whether two cases are the same files on the same grid."""
    return one.sources == other.sources and one.reference == other.reference

"""The state of a review session: the open case, the request, the results.

An evented object without Qt, napari or torch. Dock widgets and controllers change it through its
methods and show what its signals announce. Results enter it through the three ``commit`` methods.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Decomposition, Pair, ValidationIssue
from napari_ciml.decomposition.presets import DEFAULT, PRESETS
from napari_ciml.errors import CimlError
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.plan import reduce_to_modalities, unsupported_parts
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.shipped_checkpoints import bundled_checkpoints
from napari_ciml.network.checkpoint_info import CheckpointInfo, read_info
from napari_ciml.session.comparison import LabelMapDiff
from napari_ciml.session.findings import Findings
from napari_ciml.session.generation import Generations
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import RunHistory
from napari_ciml.session.source_assignment import SourceAssignment
from napari_ciml.session.stepwise import StepwiseSignal
from napari_ciml.session.undo import UndoStack


class SessionModel:
    """One review session.

    A message is muted, and a pair left out of a region's ensemble, by editing the decomposition:
    parts of the checkpoint's decomposition that it lacks are not computed.

    Attributes
    ----------
    sources : SourceAssignment
        The folder or file that was opened, and which of its volumes is which modality.
    loaded : LoadedCase or None
        The open case with its contrast limits and intensity ranges.
    request : SegmentationRequest
        What the next segmentation is to be; may be invalid while it is edited, see `problems`.
    undo_stack : UndoStack
        Undo and redo of the request.
    checkpoint, info : pathlib.Path or None, CheckpointInfo or None
        The checkpoint in use and its metadata.
    device, engine : str
        Where to compute, and with what.
    grid : str or None
        The modality on whose voxels results are exported; None is the reference.
    segmentation, explanation
        The results that are shown, or None.
    change : LabelMapDiff or None
        The difference of the segmentation to the one before.
    findings : Findings
        Lesions, reviewed marks and the comparison with a reference.
    runs : RunHistory
        All results for the case.
    generations : Generations
        Counters that tell a job whether its result still matters.

    Signals
    -------
    case_arrived(LoadedCase)
        Stepwise; a case is about to be committed: layers draw it.
    segmentation_arrived(Case, Segmentation, bool)
        Stepwise; a segmentation is about to be committed: layers draw it; whether slice and
        outlines stay as they are.
    case_changed, decomposition_changed, request_changed, checkpoint_changed, device_changed,
    engine_changed, grid_changed, segmentation_changed, explanation_changed, change_changed
        The attribute has another value.
    exported(numpy.ndarray)
        A label map was exported.
    notified(str)
        A notice for the user.
    """

    case_changed = Signal()
    decomposition_changed = Signal()
    request_changed = Signal()
    checkpoint_changed = Signal()
    device_changed = Signal()
    engine_changed = Signal()
    grid_changed = Signal()
    exported = Signal(object)
    segmentation_changed = Signal()
    explanation_changed = Signal()
    change_changed = Signal()
    notified = Signal(str)

    def __init__(self) -> None:
        self.sources = SourceAssignment()
        self.case_arrived, self.segmentation_arrived = StepwiseSignal(), StepwiseSignal()
        self.generations = Generations()
        self.loaded: LoadedCase | None = None
        self.request = SegmentationRequest(PRESETS[DEFAULT])
        self.undo_stack = UndoStack()
        self.runs = RunHistory()
        self.checkpoint: Path | None = None
        self.info: CheckpointInfo | None = None
        self.device = "auto"
        self.engine = "auto"
        self.grid: str | None = None
        self.segmentation: Segmentation | None = None
        self.explanation: Explanation | None = None
        self.change: LabelMapDiff | None = None
        self.findings = Findings()

    @property
    def case(self) -> Case | None:
        """The open case."""
        return self.loaded.case if self.loaded is not None else None

    @property
    def intensity_ranges(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest intensity of each modality of the case."""
        return self.loaded.ranges if self.loaded is not None else {}

    @property
    def decomposition(self) -> Decomposition:
        """The decomposition of the request."""
        return self.request.decomposition

    def commit_case(self, loaded: LoadedCase) -> Iterator[None]:
        """Take a loaded case; results of the case before are dropped.

        A generator. In order: `case_arrived` (step by step), ``case_changed``,
        ``segmentation_changed``, ``explanation_changed``, ``change_changed``; signals of a
        decomposition and checkpoint that suit the case's modalities, if the present ones do not;
        ``request_changed``.
        """
        yield from self.case_arrived.emit(loaded)
        self.loaded = loaded
        self.segmentation = self.explanation = self.change = self.grid = None
        self.generations.advance_all()
        self.findings.reset(loaded.case.grid)
        self.runs.restore((), None)
        self.case_changed.emit()
        self.segmentation_changed.emit()
        self.explanation_changed.emit()
        self.change_changed.emit()
        self._adapt_to_modalities(loaded.case)
        self.undo_stack.clear()
        self.request_changed.emit()

    def commit_segmentation(
        self,
        segmentation: Segmentation,
        change: LabelMapDiff | None = None,
        info: CheckpointInfo | None = None,
        *,
        keep_view: bool = False,
    ) -> Iterator[None]:
        """Take a segmentation, a new one or one of the history with its explanation.

        A generator. In order: `segmentation_arrived` (step by step), ``runs.changed``,
        ``segmentation_changed``, ``explanation_changed``, ``change_changed``.

        Parameters
        ----------
        segmentation : Segmentation
            Of the open case.
        change : LabelMapDiff, optional
            Its difference to the segmentation before.
        info : CheckpointInfo, optional
            Of the checkpoint that made it; by default of the one in use.
        keep_view : bool
            Leave slice and outlines as they are.
        """
        yield from self.segmentation_arrived.emit(self.case, segmentation, keep_view)
        known = self.runs.find(segmentation)
        self.segmentation, self.change = segmentation, change
        self.explanation = known.explanation if known else None
        self.generations.segmentation.advance()
        info = info or self.info
        if info is not None:
            self.runs.add(segmentation, info)
        self.segmentation_changed.emit()
        self.explanation_changed.emit()
        yield
        self.change_changed.emit()

    def commit_explanation(self, explanation: Explanation) -> None:
        """Take the explanation of the segmentation.

        In order: ``runs.changed``, ``explanation_changed``.
        """
        self.explanation = explanation
        self.runs.set_explanation(explanation)
        self.explanation_changed.emit()

    def set_decomposition(self, decomposition: Decomposition) -> None:
        """Request another decomposition, which may be invalid."""
        self.set_request(replace(self.request, decomposition=decomposition))

    def set_threshold(self, region: str, value: float) -> None:
        """Request another threshold of a region."""
        self.set_request(self.request.with_threshold(region, value), ("threshold", region))

    def set_weight(self, pair: Pair, value: float) -> None:
        """Request another weight of a pair in its region's ensemble."""
        self.set_request(self.request.with_weight(pair, value), ("weight", pair))

    def set_request(self, request: SegmentationRequest, control: object = None) -> None:
        """Replace the request, undoably; ``control`` is as in `UndoStack.push`."""
        if request != self.request:
            self.undo_stack.push(self.request, control)
            self._replace_request(request)

    def reset_request(
        self,
        request: SegmentationRequest,
        past: Sequence[SegmentationRequest] = (),
        future: Sequence[SegmentationRequest] = (),
    ) -> None:
        """Replace the request and its history, as of a session that is opened again."""
        self.undo_stack.restore(past, future)
        self._replace_request(request)

    def undo(self) -> None:
        """Undo the last edit of the request, if there is one."""
        if self.undo_stack.can_undo:
            self._replace_request(self.undo_stack.undo(self.request))

    def redo(self) -> None:
        """Redo the edit that was undone last, if one was."""
        if self.undo_stack.can_redo:
            self._replace_request(self.undo_stack.redo(self.request))

    def set_checkpoint(self, path: Path) -> None:
        """Use another checkpoint, and its multi-scale default unless the user changed that.

        Raises
        ------
        CheckpointError
            If it cannot be used; the one before stays.
        """
        info = read_info(path)
        before = self.info.postprocessing.multiscale if self.info is not None else False
        self.checkpoint, self.info = path, info
        if bool(self.request.options.multiscale) == before:
            self._replace_request(
                self.request.with_option("multiscale", info.postprocessing.multiscale)
            )
        self.checkpoint_changed.emit()

    def set_device(self, device: str) -> None:
        """Compute on another device."""
        self.device = device
        self.device_changed.emit()

    def set_engine(self, engine: str) -> None:
        """Compute with another engine."""
        self.engine = engine
        self.engine_changed.emit()

    def set_option(self, name: str, value: object, *, merge: bool = False) -> None:
        """Set an option of the request by its name in `RunOptions`.

        With ``merge`` consecutive changes of the option are undone together.
        """
        self.set_request(self.request.with_option(name, value), name if merge else None)

    def set_grid(self, modality: str | None) -> None:
        """Export on the voxels of a modality's file; None is the reference."""
        self.grid = modality
        self.grid_changed.emit()

    def settings(self) -> SegmentSettings:
        """Return the settings of a run of the present request."""
        return self.request.settings(self.compute_settings())

    def compute_settings(self) -> SegmentSettings:
        """Return settings with device and engine, and default options."""
        return SegmentSettings(device=self.device, engine=self.engine)

    def problems(self) -> tuple[ValidationIssue, ...]:
        """Return what keeps the request from being run, and where."""
        issues = (*self.decomposition.problems(), *self.request.problems())
        if self.info is not None:
            issues += unsupported_parts(self.info, self.decomposition)
        if self.case is not None:
            issues += missing_modalities(self.decomposition, self.case.images)
        return issues

    def require_ready(self) -> tuple[Case, Path]:
        """Return the case and the checkpoint to segment it with.

        Raises
        ------
        CimlError
            If one is missing, or the request cannot be run.
        """
        if self.case is None:
            raise CimlError("Open a case first.")
        if self.checkpoint is None:
            raise CimlError("Choose a checkpoint first.")
        problems = self.problems()
        if problems:
            raise CimlError(f"The decomposition cannot be run: {problems[0].message}")
        return self.case, self.checkpoint

    def require_segmentation(self) -> tuple[Case, Path, Segmentation]:
        """Return case, checkpoint and segmentation, to explain the segmentation.

        The present request may be invalid.

        Raises
        ------
        CimlError
            If one is missing.
        """
        if self.case is None or self.checkpoint is None or self.segmentation is None:
            raise CimlError("Segment the case first; then ask why.")
        return self.case, self.checkpoint, self.segmentation

    def _replace_request(self, request: SegmentationRequest) -> None:
        decomposition_changes = request.decomposition != self.request.decomposition
        self.request = request
        self.generations.request.advance()
        if decomposition_changes:
            self.decomposition_changed.emit()
        self.request_changed.emit()

    def _adapt_to_modalities(self, case: Case) -> None:
        """Request a decomposition that needs no modality that the case lacks."""
        lacking = missing_modalities(self.decomposition, case.images)
        if not lacking:
            return
        for path, info in self._checkpoints():
            reduced = reduce_to_modalities(info, case.images)
            if reduced is not None:
                if path != self.checkpoint:
                    self.set_checkpoint(path)
                self.set_decomposition(reduced)
                switch = f"The decomposition is now '{reduced.name}', the checkpoint '{info.name}'."
                accuracy = info.reduced_modality_notice(reduced.input_modalities)
                self.notified.emit(" ".join((lacking[0].message, switch, *accuracy)))
                return
        fitting = (one for one in PRESETS.values() if not missing_modalities(one, case.images))
        preset = next(fitting, None)
        if preset is not None:
            self.set_decomposition(preset)

    def _checkpoints(self) -> Iterator[tuple[Path, CheckpointInfo]]:
        """Yield the checkpoint in use, then those that ship."""
        if self.checkpoint is not None and self.info is not None:
            yield self.checkpoint, self.info
        for path in bundled_checkpoints():
            try:
                yield path, read_info(path)
            except CimlError as error:
                self.notified.emit(str(error))


def missing_modalities(
    decomposition: Decomposition, images: Mapping[str, object]
) -> tuple[ValidationIssue, ...]:
    """List the modalities that a decomposition uses and a case lacks."""
    return tuple(
        ValidationIssue(name, f"The case has no {name}.")
        for name in decomposition.input_modalities
        if name not in images
    )

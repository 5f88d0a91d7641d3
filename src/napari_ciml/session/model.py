"""The model of a review session: what is open, what is asked for, what came out.

An evented object without Qt, napari or torch. Widgets call its methods (intents) and show what
its signals say; they hold no state of their own.
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
from napari_ciml.session.findings import Findings
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import RunHistory
from napari_ciml.session.source_assignment import SourceAssignment
from napari_ciml.session.undo import UndoStack


class SessionModel(SourceAssignment):
    """One review session.

    What was opened, and which file is which modality, is said by `SourceAssignment`.
    A message is muted and a pair left out of a region's ensemble by editing the decomposition:
    what it lacks of the checkpoint's own is not computed.

    Attributes
    ----------
    case : Case or None
        What is loaded.
    ranges : mapping of str to (float, float)
        Smallest and largest intensity of each modality of the case.
    decomposition : Decomposition
        What is asked for; may be wrong while it is edited, see `problems`.
    asked : Asked
        The same with thresholds, weights, and whether specks are removed, passes mirrored, a
        second voxel size averaged in, and samples drawn.
    edits : Edits
        Undo and redo of what is asked for.
    checkpoint, info : pathlib.Path or None, CheckpointInfo or None
        The checkpoint and what it says about itself.
    device, engine : str
        Where to compute, and what computes.
    grid : str or None
        The modality on whose voxels results are exported; None is the reference.
    segmentation, explanation
        The results for the case, or None.
    findings : Findings
        Lesions, marks and comparisons of the case.
    runs : Runs
        All results for the case.
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
    notified = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.case: Case | None = None
        self.intensity_ranges: Mapping[str, tuple[float, float]] = {}
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
        self.findings = Findings()

    @property
    def decomposition(self) -> Decomposition:
        """What is asked for, without thresholds and weights."""
        return self.request.decomposition

    def set_case(self, case: Case, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Take a loaded case; results of another one are dropped."""
        self.case, self.intensity_ranges = case, ranges
        self.segmentation = self.explanation = self.grid = None
        self.findings.reset(case.grid)
        self.runs.restore((), None)
        self.case_changed.emit()
        self.segmentation_changed.emit()
        self.explanation_changed.emit()
        self._suit(case)
        self.undo_stack.clear()
        self.request_changed.emit()

    def set_decomposition(self, decomposition: Decomposition) -> None:
        """Ask for another decomposition, right or wrong."""
        self.set_request(replace(self.request, decomposition=decomposition))

    def set_threshold(self, region: str, value: float) -> None:
        """Take a voxel for a region from another probability on."""
        self.set_request(self.request.with_threshold(region, value), ("threshold", region))

    def set_weight(self, pair: Pair, value: float) -> None:
        """Give a pair another weight in its region's ensemble."""
        self.set_request(self.request.with_weight(pair, value), ("weight", pair))

    def set_request(self, asked: SegmentationRequest, control: object = None) -> None:
        """Ask for something else; ``control`` is as in `UndoStack.push`."""
        if asked != self.request:
            self.undo_stack.push(self.request, control)
            self._take(asked)

    def reset_request(
        self,
        asked: SegmentationRequest,
        past: Sequence[SegmentationRequest] = (),
        future: Sequence[SegmentationRequest] = (),
    ) -> None:
        """Ask for something, with what undo and redo lead to, as in a session opened again."""
        self.undo_stack.restore(past, future)
        self._take(asked)

    def undo(self) -> None:
        """Take the last edit back, if there is one."""
        if self.undo_stack.can_undo:
            self._take(self.undo_stack.undo(self.request))

    def redo(self) -> None:
        """Do again what was undone last, if anything was."""
        if self.undo_stack.can_redo:
            self._take(self.undo_stack.redo(self.request))

    def set_checkpoint(self, path: Path) -> None:
        """Use another checkpoint, and as many voxel sizes as it says unless that was changed.

        Raises
        ------
        CheckpointError
            If it is refused; the one before stays.
        """
        info = read_info(path)
        before = self.info.postprocessing.multiscale if self.info is not None else False
        self.checkpoint, self.info = path, info
        if bool(self.request.options.multiscale) == before:
            self._take(self.request.with_option("multiscale", info.postprocessing.multiscale))
        self.checkpoint_changed.emit()

    def set_device(self, device: str) -> None:
        """Compute somewhere else."""
        self.device = device
        self.device_changed.emit()

    def set_engine(self, engine: str) -> None:
        """Compute with something else."""
        self.engine = engine
        self.engine_changed.emit()

    def set_option(self, name: str, value: object, *, merge: bool = False) -> None:
        """Set an option of the request by its name in `RunOptions`.

        With ``merge`` consecutive changes of the option are undone together.
        """
        self.set_request(self.request.with_option(name, value), name if merge else None)

    def set_grid(self, modality: str | None) -> None:
        """Export on the voxels of a modality's file; None is the reference's."""
        self.grid = modality
        self.grid_changed.emit()

    def set_segmentation(
        self, segmentation: Segmentation, made_with: CheckpointInfo | None = None
    ) -> None:
        """Take a result, a new one or one of the history with its explanation.

        ``made_with`` is what its checkpoint says of itself, by default that of the one in use.
        """
        known = self.runs.find(segmentation)
        self.segmentation = segmentation
        self.explanation = known.explanation if known else None
        info = made_with or self.info
        if info is not None:
            self.runs.add(segmentation, info)
        self.segmentation_changed.emit()
        self.explanation_changed.emit()

    def set_explanation(self, explanation: Explanation) -> None:
        """Take a new explanation."""
        self.explanation = explanation
        self.runs.set_explanation(explanation)
        self.explanation_changed.emit()

    def settings(self) -> SegmentSettings:
        """Return how to segment as it is asked now."""
        return self.request.settings(self.compute_settings())

    def compute_settings(self) -> SegmentSettings:
        """Return where to compute and with what, whatever is asked."""
        return SegmentSettings(device=self.device, engine=self.engine)

    def problems(self) -> tuple[ValidationIssue, ...]:
        """Say what keeps the decomposition from being run, and where it is."""
        found = (*self.decomposition.problems(), *self.request.problems())
        if self.info is not None:
            found += unsupported_parts(self.info, self.decomposition)
        if self.case is not None:
            found += missing_modalities(self.decomposition, self.case.images)
        return found

    def _take(self, asked: SegmentationRequest) -> None:
        another = asked.decomposition != self.request.decomposition
        self.request = asked
        if another:
            self.decomposition_changed.emit()
        self.request_changed.emit()

    def _suit(self, case: Case) -> None:
        """Take a decomposition the case has the modalities for, if the present one lacks some."""
        lacking = missing_modalities(self.decomposition, case.images)
        if not lacking:
            return
        for path, info in self._checkpoints():
            kept = reduce_to_modalities(info, case.images)
            if kept is not None:
                if path != self.checkpoint:
                    self.set_checkpoint(path)
                self.set_decomposition(kept)
                now = f"The decomposition is now '{kept.name}', the checkpoint '{info.name}'."
                costs = info.reduced_modality_notice(kept.input_modalities)
                self.notified.emit(" ".join((lacking[0].message, now, *costs)))
                return
        fitting = [
            preset for preset in PRESETS.values() if not missing_modalities(preset, case.images)
        ]
        if fitting:
            self.set_decomposition(fitting[0])

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

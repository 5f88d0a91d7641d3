"""Undo and redo of what is asked for."""

from collections.abc import Iterable

from napari_ciml.session.request import SegmentationRequest

_LIMIT = 200


class UndoStack:
    """What was asked for before, and what was undone.

    Edits of one control that follow each other are one until `settle` is called, so that a slider
    that was dragged is undone at once.
    """

    def __init__(self) -> None:
        self._past: list[SegmentationRequest] = []
        self._future: list[SegmentationRequest] = []
        self._control: object = None

    @property
    def past(self) -> tuple[SegmentationRequest, ...]:
        """What undo leads to, the next one last."""
        return tuple(self._past)

    @property
    def future(self) -> tuple[SegmentationRequest, ...]:
        """What redo leads to, the next one last."""
        return tuple(self._future)

    def restore(
        self, past: Iterable[SegmentationRequest], future: Iterable[SegmentationRequest]
    ) -> None:
        """Take what undo and redo lead to, as when a session is opened again."""
        self._past, self._future, self._control = list(past), list(future), None

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return bool(self._future)

    def push(self, before: SegmentationRequest, control: object = None) -> None:
        """Note what was asked for before an edit; ``control`` names the slider that made it."""
        if control is None or control != self._control:
            self._past = [*self._past[-_LIMIT + 1 :], before]
        self._future, self._control = [], control

    def end_merge(self) -> None:
        """Make the next edit one of its own."""
        self._control = None

    def undo(self, now: SegmentationRequest) -> SegmentationRequest:
        """Return what was asked for before the last edit."""
        self._future.append(now)
        self.end_merge()
        return self._past.pop()

    def redo(self, now: SegmentationRequest) -> SegmentationRequest:
        """Return what the last undo took back."""
        self._past.append(now)
        self.end_merge()
        return self._future.pop()

    def clear(self) -> None:
        """Forget everything, as another case is opened."""
        self.restore((), ())

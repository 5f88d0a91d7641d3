"""Undo and redo of edits of the request."""

from collections.abc import Iterable

from napari_ciml.session.request import SegmentationRequest

_LIMIT = 200


class UndoStack:
    """Requests before each edit, and requests that were undone.

    Consecutive edits of one control are merged until `end_merge` is called, so that dragging a
    slider is one step.
    """

    def __init__(self) -> None:
        self._past: list[SegmentationRequest] = []
        self._future: list[SegmentationRequest] = []
        self._control: object = None

    @property
    def past(self) -> tuple[SegmentationRequest, ...]:
        """Requests that undo returns to, the next one last."""
        return tuple(self._past)

    @property
    def future(self) -> tuple[SegmentationRequest, ...]:
        """Requests that redo returns to, the next one last."""
        return tuple(self._future)

    def restore(
        self, past: Iterable[SegmentationRequest], future: Iterable[SegmentationRequest]
    ) -> None:
        """Replace both lists, as when a session is opened again."""
        self._past, self._future, self._control = list(past), list(future), None

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._future)

    def push(self, before: SegmentationRequest, control: object = None) -> None:
        """Add the request before an edit; ``control`` names the slider that made the edit."""
        if control is None or control != self._control:
            self._past = [*self._past[-_LIMIT + 1 :], before]
        self._future, self._control = [], control

    def end_merge(self) -> None:
        """Do not merge the next edit with the last one."""
        self._control = None

    def undo(self, now: SegmentationRequest) -> SegmentationRequest:
        """Return the request before the last edit; ``now`` is the present one."""
        self._future.append(now)
        self.end_merge()
        return self._past.pop()

    def redo(self, now: SegmentationRequest) -> SegmentationRequest:
        """Return the request that was undone last; ``now`` is the present one."""
        self._past.append(now)
        self.end_merge()
        return self._future.pop()

    def clear(self) -> None:
        """Empty both lists."""
        self.restore((), ())

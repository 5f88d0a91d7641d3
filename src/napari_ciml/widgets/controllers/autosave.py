"""Save what is painted within seconds, and offer it when a case is opened again.

Label maps are saved in the user's own folder, in the queue for input and output, so that they do
not wait behind a run.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels, Layer
from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.autosave import (
    AutosaveRecord,
    CaseFingerprint,
    corrections_folder,
    delete_autosave,
    find_autosaves,
    fingerprint_case,
    load_autosave,
    save_autosave,
)
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.event_loop import DelayedCall
from napari_ciml.widgets.layers.label_maps import add_correction
from napari_ciml.widgets.layers.metadata import is_unedited, metadata_of, require_metadata

SAVING, RESTORING = "Autosaving", "Restoring the autosave"
SEARCHING, DELETING = "Looking for autosaves", "Deleting the autosave"

_DELAY = 1500
"""Milliseconds from a stroke to its being saved."""


class AutosaveController:
    """Saves label maps that are painted on.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.

    Attributes
    ----------
    offered : tuple of AutosaveRecord
        Saved label maps of the open case that can be restored, the latest first.
    saved_at : datetime or None
        When a label map of the open case was saved last.

    Signals
    -------
    changed()
        One of them has changed.
    settled(Labels)
        A label map was painted on, and no stroke has followed for a moment.
    """

    changed = Signal()
    settled = Signal(object)

    def __init__(self, context: Context) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.offered: tuple[AutosaveRecord, ...] = ()
        self.saved_at: datetime | None = None
        self._fingerprint: tuple[Case, CaseFingerprint] | None = None
        self._keys: WeakKeyDictionary[Labels, str] = WeakKeyDictionary()
        self._last: WeakKeyDictionary[Labels, np.ndarray] = WeakKeyDictionary()
        self._unsaved: dict[Labels, int] = {}
        self._closed = False
        self._delay = DelayedCall(_DELAY, self.save_now)
        self.layers.viewer.layers.events.inserted.connect(self._on_inserted)
        self.model.case_changed.connect(self._find_autosaves)

    @property
    def has_edits(self) -> bool:
        """Whether a label map was painted on."""
        return bool(self._unsaved) or bool(self._last)

    @property
    def pending(self) -> bool:
        """Whether strokes wait to be saved."""
        return self._delay.pending

    def save_now(self) -> None:
        """Save what was painted since the last time, without waiting for the delay."""
        self._delay.stop()
        for layer, strokes in list(self._unsaved.items()):
            if layer in self._last and np.array_equal(self._last[layer], layer.data):
                del self._unsaved[layer]
                continue
            self._last[layer] = labels = np.array(layer.data)
            done = partial(self._on_saved, layer, strokes)
            self.jobs.io.submit(SAVING, self._job(layer, labels), done)
            self.settled.emit(layer)

    def restore_offered(self) -> None:
        """Show the label maps that are offered, each as a layer."""
        case, offered, folder = self.model.case, self.offered, corrections_folder()
        if case is None or not offered:
            return
        generation = self.model.generations.case.now()

        def work(_: ProgressMonitor) -> list[np.ndarray]:
            return [load_autosave(folder, record) for record in offered]

        def done(label_maps: list[np.ndarray]) -> Iterator[None]:
            # The latest last, so that it lies on top.
            for record, labels in reversed(list(zip(offered, label_maps, strict=True))):
                if not generation.is_current:
                    return
                layer = add_correction(self.layers.viewer, case, labels, record.regions)
                self._keys[layer] = record.key
                self._last[layer] = labels.copy()
                yield
                self.settled.emit(layer)
            self.offered = ()
            self.changed.emit()

        self.jobs.io.submit(RESTORING, work, done, generation=generation)

    def delete_offered(self) -> None:
        """Delete the label maps that are offered."""
        for record in self.offered:
            delete_autosave(corrections_folder(), record.key)
        self.offered = ()
        self.changed.emit()

    def discard(self, layer: Labels) -> None:
        """Delete what is saved of a label map that is saved elsewhere now."""
        self._unsaved.pop(layer, None)
        self._last.pop(layer, None)
        key = self._keys.pop(layer, None)
        if key is not None:
            delete = partial(_delete, corrections_folder(), key)
            self.jobs.io.submit(DELETING, delete, lambda _: None)

    def close(self) -> None:
        """Save what is not saved yet, on this thread, and stop."""
        if self._closed:
            return
        self._closed = True
        self._delay.stop()
        for layer in list(self._unsaved):
            try:
                self._job(layer, np.array(layer.data))(ProgressMonitor())
            except CimlError:
                continue  # the window is gone, nobody can be told
        self._unsaved.clear()

    def _on_inserted(self, event: object) -> None:
        layer: Layer = event.value  # type: ignore[attr-defined]
        metadata = metadata_of(layer)
        if not isinstance(layer, Labels) or metadata is None:
            return
        if metadata.kind in ("segmentation", "correction"):
            layer.events.paint.connect(self._on_paint)
            layer.events.set_data.connect(self._on_data)

    def _on_paint(self, event: object) -> None:
        self._note_stroke(event.source)  # type: ignore[attr-defined]

    def _on_data(self, event: object) -> None:
        """Note undo and redo, which emit nothing else; what was never painted has no undo."""
        layer = event.source  # type: ignore[attr-defined]
        if layer in self._last:
            self._note_stroke(layer)

    def _note_stroke(self, layer: Labels) -> None:
        self._unsaved[layer] = self._unsaved.get(layer, 0) + 1
        if not self._delay.pending:
            self._delay.start()

    def _job(self, layer: Labels, labels: np.ndarray) -> "partial[None]":
        """Return the job that saves a label map, or deletes it if it is as it was computed."""
        key = self._keys.setdefault(layer, uuid4().hex)
        metadata, folder = require_metadata(layer), corrections_folder()
        if metadata.kind == "segmentation" and is_unedited(layer):
            return partial(_delete, folder, key)
        regions = metadata.regions or self.model.decomposition.regions
        return partial(self._save, metadata.case, folder, key, regions, labels)

    def _save(
        self,
        case: Case,
        folder: Path,
        key: str,
        regions: tuple[Region, ...],
        labels: np.ndarray,
        monitor: ProgressMonitor,
    ) -> None:
        """Write a label map; in a thread."""
        fingerprint = self._fingerprint_of(case, monitor)
        record = AutosaveRecord(
            key=key,
            images=tuple(sorted(fingerprint.images)),
            grid=fingerprint.grid,
            regions=regions,
            saved=datetime.now(UTC),
        )
        save_autosave(folder, record, labels)

    def _on_saved(self, layer: Labels, strokes: int, _: None) -> None:
        if self._unsaved.get(layer) == strokes:
            del self._unsaved[layer]
        self.saved_at = datetime.now().astimezone()
        self.changed.emit()

    def _find_autosaves(self) -> None:
        """Look for saved label maps of the case that was opened."""
        case, folder = self.model.case, corrections_folder()
        self.offered, self.saved_at = (), None
        self.changed.emit()
        if case is None:
            return

        def work(monitor: ProgressMonitor) -> tuple[AutosaveRecord, ...]:
            return find_autosaves(folder, self._fingerprint_of(case, monitor))

        def done(records: tuple[AutosaveRecord, ...]) -> None:
            if records:
                self.offered = records
                self.changed.emit()

        generation = self.model.generations.case.now()
        self.jobs.io.submit(SEARCHING, work, done, generation=generation)

    def _fingerprint_of(self, case: Case, monitor: ProgressMonitor) -> CaseFingerprint:
        if self._fingerprint is None or self._fingerprint[0] is not case:
            self._fingerprint = (case, fingerprint_case(case, monitor))
        return self._fingerprint[1]


def _delete(folder: Path, key: str, _: ProgressMonitor) -> None:
    delete_autosave(folder, key)

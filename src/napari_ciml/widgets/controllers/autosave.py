"""The controller of corrections: keeps what is painted, and offers it when a case is opened again.

Strokes are kept in the user's own folder within seconds, in a thread of its own, so that not even
a long run stands in their way.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

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
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.label_maps import add_correction
from napari_ciml.widgets.layers.metadata import is_unedited, metadata_of, require_metadata

_WITHIN_MS = 1500
"""From a stroke to its being kept."""


class AutosaveController(QObject):
    """Keeps corrections.

    Signals
    -------
    changed()
        Something was kept, found, brought back or forgotten.
    settled(Labels)
        A label map was painted on, and has been at rest for a moment.
    """

    changed = Signal()
    settled = Signal(object)

    def __init__(self, model: SessionModel, layers: CaseLayers) -> None:
        super().__init__()
        self.model, self.layers = model, layers
        self.runner = JobRunner(self)
        self.offered: tuple[AutosaveRecord, ...] = ()
        self.kept_at: datetime | None = None
        self._known: tuple[Case, CaseFingerprint] | None = None
        self._keys: WeakKeyDictionary[Labels, str] = WeakKeyDictionary()
        self._last: WeakKeyDictionary[Labels, np.ndarray] = WeakKeyDictionary()
        self._unkept: dict[Labels, int] = {}
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WITHIN_MS)
        self._timer.timeout.connect(self._at_rest)
        layers.viewer.layers.events.inserted.connect(self._on_inserted)
        model.case_changed.connect(self._look_for_kept)

    @property
    def has_edits(self) -> bool:
        """Whether a label map was painted on."""
        return bool(self._unkept) or bool(self._last)

    def bring_back(self) -> None:
        """Show the corrections that are offered, each as a layer."""
        case, offered, folder = self.model.case, self.offered, corrections_folder()
        if case is None or not offered:
            return

        def work(_: ProgressMonitor) -> list[np.ndarray]:
            return [load_autosave(folder, correction) for correction in offered]

        def done(found: list[np.ndarray]) -> Iterator[None]:
            # The latest last, so that it lies on top.
            for correction, labels in reversed(list(zip(offered, found, strict=True))):
                if self.model.case is not case:
                    return
                layer = add_correction(self.layers.viewer, case, labels, correction.regions)
                self._keys[layer] = correction.key
                self._last[layer] = labels.copy()
                yield
                self.settled.emit(layer)
            self.offered = ()
            self.changed.emit()

        self.runner.submit("Bringing back", work, done)

    def forget(self) -> None:
        """Forget the corrections that are offered."""
        for correction in self.offered:
            delete_autosave(corrections_folder(), correction.key)
        self.offered = ()
        self.changed.emit()

    def discard(self, layer: Labels) -> None:
        """Forget what is kept of a label map that is saved elsewhere."""
        self._unkept.pop(layer, None)
        self._last.pop(layer, None)
        key = self._keys.pop(layer, None)
        if key is not None:
            forget = partial(_forget, corrections_folder(), key)
            self.runner.submit("Forgetting the correction", forget, lambda _: None)

    def close(self) -> None:
        """Keep what is not kept yet, here and now, and stop."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self.runner.close()
        for layer in list(self._unkept):
            try:
                self._job(layer, np.array(layer.data))(ProgressMonitor())
            except CimlError:
                continue  # the window is gone, nobody is left to be told
        self._unkept.clear()

    def _on_inserted(self, event: object) -> None:
        layer: Layer = event.value  # type: ignore[attr-defined]
        origin = metadata_of(layer)
        if isinstance(layer, Labels) and origin and origin.kind in ("segmentation", "correction"):
            layer.events.paint.connect(self._on_paint)
            layer.events.set_data.connect(self._on_redrawn)

    def _on_paint(self, event: object) -> None:
        self._touch(event.source)  # type: ignore[attr-defined]

    def _on_redrawn(self, event: object) -> None:
        """Undo and redo tell of themselves only by this; what was never painted has no undo."""
        layer = event.source  # type: ignore[attr-defined]
        if layer in self._last:
            self._touch(layer)

    def _touch(self, layer: Labels) -> None:
        self._unkept[layer] = self._unkept.get(layer, 0) + 1
        if not self._timer.isActive():
            self._timer.start()

    def _at_rest(self) -> None:
        for layer, strokes in list(self._unkept.items()):
            if layer in self._last and np.array_equal(self._last[layer], layer.data):
                del self._unkept[layer]
                continue
            self._last[layer] = labels = np.array(layer.data)
            done = partial(self._kept, layer, strokes)
            self.runner.submit("Keeping the correction", self._job(layer, labels), done)
            self.settled.emit(layer)

    def _job(self, layer: Labels, labels: np.ndarray) -> "partial[None]":
        """Return what keeps a label map, or forgets it if it is what was computed again."""
        key = self._keys.setdefault(layer, uuid4().hex)
        origin, folder = require_metadata(layer), corrections_folder()
        if origin.kind == "segmentation" and is_unedited(layer):
            return partial(_forget, folder, key)
        regions = origin.regions or self.model.decomposition.regions
        return partial(self._keep, origin.case, folder, key, regions, labels)

    def _keep(
        self,
        case: Case,
        folder: Path,
        key: str,
        regions: tuple[Region, ...],
        labels: np.ndarray,
        monitor: ProgressMonitor,
    ) -> None:
        """Write a correction; in a thread."""
        known = self._identity(case, monitor)
        correction = AutosaveRecord(
            key=key,
            images=tuple(sorted(known.images)),
            grid=known.grid,
            regions=regions,
            saved=datetime.now(UTC),
        )
        save_autosave(folder, correction, labels)

    def _kept(self, layer: Labels, strokes: int, _: None) -> None:
        if self._unkept.get(layer) == strokes:
            del self._unkept[layer]
        self.kept_at = datetime.now().astimezone()
        self.changed.emit()

    def _look_for_kept(self) -> None:
        """See whether a correction of the case that was opened is kept."""
        case, folder = self.model.case, corrections_folder()
        self.offered, self.kept_at = (), None
        self.changed.emit()
        if case is None:
            return

        def done(found: tuple[AutosaveRecord, ...]) -> None:
            if self.model.case is case and found:
                self.offered = found
                self.changed.emit()

        self.runner.submit(
            "Looking for a correction",
            lambda monitor: find_autosaves(folder, self._identity(case, monitor)),
            done,
        )

    def _identity(self, case: Case, monitor: ProgressMonitor) -> CaseFingerprint:
        if self._known is None or self._known[0] is not case:
            self._known = (case, fingerprint_case(case, monitor))
        return self._known[1]


def _forget(folder: Path, key: str, _: ProgressMonitor) -> None:
    delete_autosave(folder, key)

"""The dock widget *Correct*: paint by region, keep, check, mend, save."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
)

from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.metrics.label_checks import SPECK_ML, LabelIssue
from napari_ciml.widgets.controllers.checking import LabelMapChecks
from napari_ciml.widgets.display.key_bindings import ERASE, MOST_BRUSH_KEYS, brush_key
from napari_ciml.widgets.layers.label_maps import apply_fixes, select_brush
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, label, row, table
from napari_ciml.widgets.panels.dock import LabelMapDock
from napari_ciml.widgets.panels.texts import describe_stroke

if TYPE_CHECKING:
    from napari.viewer import Viewer

_SHOWN = 100
"""So many faults are listed one by one."""

_EMPTY = (
    "Open a case and segment it, then choose a region and paint, with napari's own brush, "
    "eraser, fill and undo. What you paint is kept as you go."
)


class CorrectWidget(LabelMapDock):
    """Correct a label map.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where it is shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.checking = LabelMapChecks(self.active_map)
        self.offer = WrappingLabel()
        self.restore = button("Bring it back", "Show it as a layer of its own.")
        self.discard = button("Forget it", "Remove what was kept; this cannot be undone.")
        self.target, self.brushes = WrappingLabel(), QHBoxLayout()
        self.erase = button("Erase", "Take out of the region that is chosen (Alt+0).")
        self.erase.setCheckable(True)
        self.stroke_hint, self.autosaved = (
            WrappingLabel(colour=QUIET_COLOUR),
            WrappingLabel(colour=QUIET_COLOUR),
        )
        self.min_volume = QDoubleSpinBox()
        self.min_volume.setRange(0, 10)
        self.min_volume.setDecimals(3)
        self.min_volume.setSingleStep(0.01)
        self.min_volume.setValue(SPECK_ML)
        self.min_volume.setSuffix(" mL")
        self.min_volume.setToolTip("Parts smaller than this are called specks.")
        self.check = button("Check", "Look for specks, holes, and ET outside of any context.")
        self.fix_all = button("Mend all", "Mend all that has a remedy; one undo takes it back.")
        self.save = button("Save ...", "Check, then write the label map on its file's own grid.")
        self.save_anyway = button("Save all the same", "Write it, and leave what was found.")
        self.summary = WrappingLabel()
        self.issues = table("What and where", "")
        self.issues.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.issues.setToolTip("Choose one to go there.")
        self._rows: tuple[LabelIssue, ...] = ()
        self._path: Path | None = None
        self._buttons: dict[str, QPushButton] = {}
        self._region: Region | None = None
        self._lay_out()
        self._connect()
        self._show_offer()
        self._show_brushes()
        self._show_faults((), "")
        for number in range(1, MOST_BRUSH_KEYS + 1):
            self.viewer.bind_key(
                brush_key(number), lambda _, k=number: self._pick_by_key(k), overwrite=True
            )
        self.viewer.bind_key(ERASE, lambda _: self.erase.click(), overwrite=True)

    def brush(self, region: str) -> QPushButton:
        """Return the button that takes up the brush for a region."""
        return self._buttons[region]

    def write(self, path: Path) -> None:
        """Check the label map, and write it if nothing is found; else say so and wait."""
        self._path = path
        self.run_intent(self._look, self._checked_before_saving)

    def _lay_out(self) -> None:
        header = self.issues.horizontalHeader()
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, self.fix_all.sizeHint().width())
        self.column.addWidget(self.offer)
        self.column.addLayout(row(self.restore, self.discard))
        self.column.addWidget(self.target)
        self.brushes.addWidget(self.erase)
        self.column.addLayout(self.brushes)
        self.column.addWidget(self.stroke_hint)
        self.column.addWidget(self.autosaved)
        self.column.addLayout(row(label("Specks under"), self.min_volume))
        self.column.addLayout(row(self.check, self.save))
        self.column.addWidget(self.summary)
        self.column.addLayout(row(self.fix_all, self.save_anyway))
        self.column.addWidget(self.issues, stretch=1)
        self.column.addStretch()
        self.add_footer()

    def _connect(self) -> None:
        self.restore.clicked.connect(lambda: self.run_intent(self.autosave.bring_back))
        self.discard.clicked.connect(lambda: self.run_intent(self.autosave.forget))
        self.erase.clicked.connect(self._erase_or_paint)
        self.check.clicked.connect(lambda: self.run_intent(self._look, self._checked))
        self.fix_all.clicked.connect(lambda: self._mend(self._rows))
        self.save.clicked.connect(self._ask)
        self.save_anyway.clicked.connect(lambda: self.run_intent(self._write))
        self.issues.currentCellChanged.connect(self._go_to)
        self.autosave.changed.connect(self._show_offer)
        self.autosave.runner.failed.connect(self._on_failed)
        self.active_map.changed.connect(self._show_brushes)
        self.model.decomposition_changed.connect(self._show_brushes)
        self.model.case_changed.connect(lambda: self._show_faults((), ""))

    def _show_offer(self) -> None:
        offered = self.autosave.offered
        for part in (self.restore, self.discard):
            part.setVisible(bool(offered))
        if offered:
            when = offered[0].saved.astimezone().strftime("%Y-%m-%d %H:%M")
            more = f" (and {len(offered) - 1} older)" if len(offered) > 1 else ""
            self.offer.set_text(f"A correction of this case was kept on {when}{more}.")
        else:
            self.offer.set_text("")
        at = self.autosave.kept_at
        self.autosaved.set_text(f"Kept at {at:%H:%M:%S}." if at else "")

    def _show_brushes(self) -> None:
        layer = self.active_map.current()
        self.target.set_text(f"Paint on '{layer.name}':" if layer is not None else _EMPTY)
        regions = self.active_map.regions() if layer is not None else ()
        if list(self._buttons) == [region.name for region in regions]:
            return
        for old in self._buttons.values():
            self.brushes.removeWidget(old)
            old.deleteLater()
        self._buttons = {}
        self._region = None
        self._say_how()
        for k, region in enumerate(regions, 1):
            made = button(region.name, f"Paint {region.name} (Alt+{k}).")
            made.setStyleSheet(f"border-bottom: 3px solid {region.colour}")
            made.clicked.connect(lambda _, r=region: self._pick(r))
            self.brushes.insertWidget(k - 1, made)
            self._buttons[region.name] = made

    def _pick_by_key(self, number: int) -> None:
        regions = self.active_map.regions()
        if number <= len(regions):
            self._pick(regions[number - 1])

    def _pick(self, region: Region) -> None:
        layer = self.active_map.current()
        if layer is not None:
            self._region = region
            erase = self.erase.isChecked()
            select_brush(self.viewer, layer, region, self.active_map.regions(), erase=erase)
            self._say_how()

    def _erase_or_paint(self) -> None:
        if self._region is not None:
            self._pick(self._region)

    def _say_how(self) -> None:
        region, regions = self._region, self.active_map.regions()
        self.erase.setEnabled(region is not None)
        if region is not None:
            self.erase.setToolTip(f"Take out of {region.name} what is painted over (Alt+0).")
        said = (
            describe_stroke(region, regions, self.erase.isChecked()) if region is not None else ""
        )
        self.stroke_hint.set_text(said)

    def _look(self, done: object) -> None:
        self.summary.set_text("Checking ...")
        self.checking.check(self.min_volume.value(), done)  # type: ignore[arg-type]

    def _checked(self, faults: tuple[LabelIssue, ...]) -> None:
        self._path = None
        words = "Nothing is wrong with it." if not faults else f"{len(faults)} to look at:"
        self._show_faults(faults, words)

    def _checked_before_saving(self, faults: tuple[LabelIssue, ...]) -> None:
        if faults:
            self._show_faults(faults, f"Not saved yet: {len(faults)} to look at first.")
        else:
            self._show_faults((), "")
            self.run_intent(self._write)

    def _show_faults(self, faults: tuple[LabelIssue, ...], words: str) -> None:
        self._rows = faults
        more = f" The first {_SHOWN} are listed." if len(faults) > _SHOWN else ""
        self.summary.set_text(words + more)
        self.issues.setVisible(bool(faults))
        self.fix_all.setVisible(any(fault.value is not None for fault in faults))
        self.save_anyway.setVisible(bool(faults) and self._path is not None)
        self.issues.blockSignals(True)
        self.issues.setRowCount(min(len(faults), _SHOWN))
        for k, fault in enumerate(faults[:_SHOWN]):
            item = QTableWidgetItem(fault.sentence)
            item.setToolTip(fault.sentence)
            self.issues.setItem(k, 0, item)
            remedy = button("Mend", "Give it the label of what is around it.")
            remedy.setEnabled(fault.value is not None)
            remedy.clicked.connect(lambda _, f=fault: self._mend((f,)))
            self.issues.setCellWidget(k, 1, remedy)
            self.issues.setRowHeight(k, 2 * self.fontMetrics().lineSpacing() + 10)
        self.issues.blockSignals(False)

    def _go_to(self, k: int, *_: object) -> None:
        if 0 <= k < len(self._rows):
            self.active_map.go_to(self._rows[k])

    def _mend(self, faults: tuple[LabelIssue, ...]) -> None:
        layer, path = self.active_map.current(), self._path
        if layer is not None:
            apply_fixes(layer, faults)
            done = self._checked if path is None else self._checked_before_saving
            self.run_intent(self._look, done)

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the label map", "segmentation.nii.gz", "Label maps (*.nii.gz *.nrrd *.mha)"
        )
        if path:
            self.write(Path(path))

    def _write(self) -> None:
        path, self._path = self._path, None
        if path is None:
            raise CimlError("Choose a file with Save ... first.")
        self.summary.set_text("Saving ...")
        self.checking.save(path, lambda: self._show_faults((), f"Saved as {path.name}."))

    def _on_failed(self, sentence: str, details: str) -> None:
        self.summary.set_text("")
        self.show_error(sentence, details)

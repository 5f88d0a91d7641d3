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
        self.checking = LabelMapChecks(self.measuring)
        self.offer = WrappingLabel()
        self.bring_back = button("Bring it back", "Show it as a layer of its own.")
        self.forget = button("Forget it", "Remove what was kept; this cannot be undone.")
        self.what, self.brushes = WrappingLabel(), QHBoxLayout()
        self.erase = button("Erase", "Take out of the region that is chosen (Alt+0).")
        self.erase.setCheckable(True)
        self.how, self.kept = WrappingLabel(colour=QUIET_COLOUR), WrappingLabel(colour=QUIET_COLOUR)
        self.smallest = QDoubleSpinBox()
        self.smallest.setRange(0, 10)
        self.smallest.setDecimals(3)
        self.smallest.setSingleStep(0.01)
        self.smallest.setValue(SPECK_ML)
        self.smallest.setSuffix(" mL")
        self.smallest.setToolTip("Parts smaller than this are called specks.")
        self.check = button("Check", "Look for specks, holes, and ET outside of any context.")
        self.fix_all = button("Mend all", "Mend all that has a remedy; one undo takes it back.")
        self.save = button("Save ...", "Check, then write the label map on its file's own grid.")
        self.save_anyway = button("Save all the same", "Write it, and leave what was found.")
        self.verdict = WrappingLabel()
        self.faults = table("What and where", "")
        self.faults.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.faults.setToolTip("Choose one to go there.")
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
        header = self.faults.horizontalHeader()
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, self.fix_all.sizeHint().width())
        self.column.addWidget(self.offer)
        self.column.addLayout(row(self.bring_back, self.forget))
        self.column.addWidget(self.what)
        self.brushes.addWidget(self.erase)
        self.column.addLayout(self.brushes)
        self.column.addWidget(self.how)
        self.column.addWidget(self.kept)
        self.column.addLayout(row(label("Specks under"), self.smallest))
        self.column.addLayout(row(self.check, self.save))
        self.column.addWidget(self.verdict)
        self.column.addLayout(row(self.fix_all, self.save_anyway))
        self.column.addWidget(self.faults, stretch=1)
        self.column.addStretch()
        self.add_footer()

    def _connect(self) -> None:
        self.bring_back.clicked.connect(lambda: self.run_intent(self.keeping.bring_back))
        self.forget.clicked.connect(lambda: self.run_intent(self.keeping.forget))
        self.erase.clicked.connect(self._erase_or_paint)
        self.check.clicked.connect(lambda: self.run_intent(self._look, self._checked))
        self.fix_all.clicked.connect(lambda: self._mend(self._rows))
        self.save.clicked.connect(self._ask)
        self.save_anyway.clicked.connect(lambda: self.run_intent(self._write))
        self.faults.currentCellChanged.connect(self._go_to)
        self.keeping.changed.connect(self._show_offer)
        self.keeping.runner.failed.connect(self._on_failed)
        self.measuring.changed.connect(self._show_brushes)
        self.model.decomposition_changed.connect(self._show_brushes)
        self.model.case_changed.connect(lambda: self._show_faults((), ""))

    def _show_offer(self) -> None:
        offered = self.keeping.offered
        for part in (self.bring_back, self.forget):
            part.setVisible(bool(offered))
        if offered:
            when = offered[0].saved.astimezone().strftime("%Y-%m-%d %H:%M")
            more = f" (and {len(offered) - 1} older)" if len(offered) > 1 else ""
            self.offer.set_text(f"A correction of this case was kept on {when}{more}.")
        else:
            self.offer.set_text("")
        at = self.keeping.kept_at
        self.kept.set_text(f"Kept at {at:%H:%M:%S}." if at else "")

    def _show_brushes(self) -> None:
        layer = self.measuring.current()
        self.what.set_text(f"Paint on '{layer.name}':" if layer is not None else _EMPTY)
        regions = self.measuring.regions() if layer is not None else ()
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
        regions = self.measuring.regions()
        if number <= len(regions):
            self._pick(regions[number - 1])

    def _pick(self, region: Region) -> None:
        layer = self.measuring.current()
        if layer is not None:
            self._region = region
            erase = self.erase.isChecked()
            select_brush(self.viewer, layer, region, self.measuring.regions(), erase=erase)
            self._say_how()

    def _erase_or_paint(self) -> None:
        if self._region is not None:
            self._pick(self._region)

    def _say_how(self) -> None:
        region, regions = self._region, self.measuring.regions()
        self.erase.setEnabled(region is not None)
        if region is not None:
            self.erase.setToolTip(f"Take out of {region.name} what is painted over (Alt+0).")
        said = (
            describe_stroke(region, regions, self.erase.isChecked()) if region is not None else ""
        )
        self.how.set_text(said)

    def _look(self, done: object) -> None:
        self.verdict.set_text("Checking ...")
        self.checking.check(self.smallest.value(), done)  # type: ignore[arg-type]

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
        self.verdict.set_text(words + more)
        self.faults.setVisible(bool(faults))
        self.fix_all.setVisible(any(fault.value is not None for fault in faults))
        self.save_anyway.setVisible(bool(faults) and self._path is not None)
        self.faults.blockSignals(True)
        self.faults.setRowCount(min(len(faults), _SHOWN))
        for k, fault in enumerate(faults[:_SHOWN]):
            item = QTableWidgetItem(fault.sentence)
            item.setToolTip(fault.sentence)
            self.faults.setItem(k, 0, item)
            remedy = button("Mend", "Give it the label of what is around it.")
            remedy.setEnabled(fault.value is not None)
            remedy.clicked.connect(lambda _, f=fault: self._mend((f,)))
            self.faults.setCellWidget(k, 1, remedy)
            self.faults.setRowHeight(k, 2 * self.fontMetrics().lineSpacing() + 10)
        self.faults.blockSignals(False)

    def _go_to(self, k: int, *_: object) -> None:
        if 0 <= k < len(self._rows):
            self.measuring.go_to(self._rows[k])

    def _mend(self, faults: tuple[LabelIssue, ...]) -> None:
        layer, path = self.measuring.current(), self._path
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
        self.verdict.set_text("Saving ...")
        self.checking.save(path, lambda: self._show_faults((), f"Saved as {path.name}."))

    def _on_failed(self, sentence: str, details: str) -> None:
        self.verdict.set_text("")
        self.show_error(sentence, details)

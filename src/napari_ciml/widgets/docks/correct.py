"""The dock widget *Correct*: paint by region, check, fix, save; restore autosaved edits."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
)

from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.metrics.label_checks import SPECK_ML, LabelIssue
from napari_ciml.widgets.display.key_bindings import ERASE, MOST_BRUSH_KEYS, brush_key, key_text
from napari_ciml.widgets.layers.label_maps import apply_fixes, select_brush
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, label, row
from napari_ciml.widgets.panels.dock import LabelMapDock
from napari_ciml.widgets.panels.issue_table import MOST_LISTED, IssueTable
from napari_ciml.widgets.panels.texts import count_text, describe_stroke

if TYPE_CHECKING:
    from napari.viewer import Viewer

_EMPTY = (
    "Open a case and segment it, then choose a region and paint with napari's brush, eraser, "
    "fill and undo. Edits are autosaved."
)


class CorrectWidget(LabelMapDock):
    """Correct a label map.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.checking = self.session.label_map_checks
        self.offer = WrappingLabel()
        self.restore = button("Restore", "Add the autosaved label map as a layer.")
        self.discard = button("Discard", "Delete the autosaved label map; this cannot be undone.")
        self.target, self.brushes = WrappingLabel(), QHBoxLayout()
        self.erase = button("Erase", f"Erase from the selected region ({key_text(ERASE)}).")
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
        self.min_volume.setToolTip("Components smaller than this are reported as small.")
        self.check = button(
            "Check",
            "Find small components, holes, and regions outside of their parent (ET outside of TC).",
        )
        self.fix_all = button("Fix all", "Apply all available fixes; a single undo reverts them.")
        self.save = button(
            "Save ...", "Check the label map, then write it on the grid of the reference file."
        )
        self.save_anyway = button(
            "Save anyway", "Write the label map without fixing the listed issues."
        )
        self.summary = WrappingLabel()
        self.issues = IssueTable(self.fix_all.sizeHint().width())
        self._issues: tuple[LabelIssue, ...] = ()
        self._path: Path | None = None
        self._buttons: dict[str, QPushButton] = {}
        self._region: Region | None = None
        self._lay_out()
        self._connect()
        self._show_offer()
        self._show_brushes()
        self._show_issues((), "")
        for number in range(1, MOST_BRUSH_KEYS + 1):
            self.viewer.bind_key(
                brush_key(number), lambda _, k=number: self._on_brush_key(k), overwrite=True
            )
        self.viewer.bind_key(ERASE, lambda _: self.erase.click(), overwrite=True)

    def brush(self, region: str) -> QPushButton:
        """Return the button that selects the brush of a region."""
        return self._buttons[region]

    def write(self, path: Path) -> None:
        """Check the label map and write it if there is no issue; else list the issues and wait."""
        self._path = path
        self.run_intent(self._check, self._on_checked_before_saving)

    def _lay_out(self) -> None:
        self.column.addWidget(self.offer)
        self.column.addLayout(row(self.restore, self.discard))
        self.column.addWidget(self.target)
        self.brushes.addWidget(self.erase)
        self.column.addLayout(self.brushes)
        self.column.addWidget(self.stroke_hint)
        self.column.addWidget(self.autosaved)
        self.column.addLayout(row(label("Small components below"), self.min_volume))
        self.column.addLayout(row(self.check, self.save))
        self.column.addWidget(self.summary)
        self.column.addLayout(row(self.fix_all, self.save_anyway))
        self.column.addWidget(self.issues, stretch=1)
        self.column.addStretch()
        self.add_footer()

    def _connect(self) -> None:
        self.restore.clicked.connect(lambda: self.run_intent(self.autosave.restore_offered))
        self.discard.clicked.connect(lambda: self.run_intent(self.autosave.delete_offered))
        self.erase.clicked.connect(self._on_erase)
        self.check.clicked.connect(lambda: self.run_intent(self._check, self._on_checked))
        self.issues.fix_requested.connect(lambda issue: self._fix((issue,)))
        self.fix_all.clicked.connect(lambda: self._fix(self._issues))
        self.save.clicked.connect(self._choose_file)
        self.save_anyway.clicked.connect(lambda: self.run_intent(self._write))
        self.issues.currentCellChanged.connect(self._go_to)
        self.autosave.changed.connect(self._show_offer)
        self.session.jobs.io.failed.connect(self._on_failed)
        self.active_map.changed.connect(self._show_brushes)
        self.model.decomposition_changed.connect(self._show_brushes)
        self.model.case_changed.connect(lambda: self._show_issues((), ""))

    def _show_offer(self) -> None:
        offered = self.autosave.offered
        for part in (self.restore, self.discard):
            part.setVisible(bool(offered))
        if offered:
            when = offered[0].saved.astimezone().strftime("%Y-%m-%d %H:%M")
            more = f" (and {len(offered) - 1} older)" if len(offered) > 1 else ""
            self.offer.set_text(f"Autosaved edits of this case from {when}{more}.")
        else:
            self.offer.set_text("")
        time = self.autosave.saved_at
        self.autosaved.set_text(f"Autosaved at {time:%H:%M:%S}." if time else "")

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
        self._show_stroke_hint()
        for k, region in enumerate(regions, 1):
            brush = button(region.name, f"Paint {region.name} ({key_text(brush_key(k))}).")
            brush.setStyleSheet(f"border-bottom: 3px solid {region.colour}")
            brush.clicked.connect(lambda _, r=region: self._select_brush(r))
            self.brushes.insertWidget(k - 1, brush)
            self._buttons[region.name] = brush

    def _on_brush_key(self, number: int) -> None:
        regions = self.active_map.regions()
        if number <= len(regions):
            self._select_brush(regions[number - 1])

    def _select_brush(self, region: Region) -> None:
        layer = self.active_map.current()
        if layer is not None:
            self._region = region
            erase = self.erase.isChecked()
            select_brush(self.viewer, layer, region, self.active_map.regions(), erase=erase)
            self._show_stroke_hint()

    def _on_erase(self) -> None:
        if self._region is not None:
            self._select_brush(self._region)

    def _show_stroke_hint(self) -> None:
        region, regions = self._region, self.active_map.regions()
        self.erase.setEnabled(region is not None)
        if region is not None:
            self.erase.setToolTip(f"Erase from {region.name} ({key_text(ERASE)}).")
        text = (
            describe_stroke(region, regions, self.erase.isChecked()) if region is not None else ""
        )
        self.stroke_hint.set_text(text)

    def _check(self, on_checked: object) -> None:
        self.summary.set_text("Checking ...")
        self.checking.check(self.min_volume.value(), on_checked)  # type: ignore[arg-type]

    def _on_checked(self, issues: tuple[LabelIssue, ...]) -> None:
        self._path = None
        text = (
            "No small components, holes or inconsistencies found."
            if not issues
            else f"{count_text(len(issues), 'issue')}:"
        )
        self._show_issues(issues, text)

    def _on_checked_before_saving(self, issues: tuple[LabelIssue, ...]) -> None:
        if issues:
            self._show_issues(issues, f"Not saved: {count_text(len(issues), 'issue')}.")
        else:
            self._show_issues((), "")
            self.run_intent(self._write)

    def _show_issues(self, issues: tuple[LabelIssue, ...], text: str) -> None:
        self._issues = issues
        more = f" The first {MOST_LISTED} are listed." if len(issues) > MOST_LISTED else ""
        self.summary.set_text(text + more)
        self.issues.show_issues(issues)
        self.fix_all.setVisible(any(issue.value is not None for issue in issues))
        self.save_anyway.setVisible(bool(issues) and self._path is not None)

    def _go_to(self, row: int, *_: object) -> None:
        issue = self.issues.issue_at(row)
        if issue is not None:
            self.active_map.go_to(issue)

    def _fix(self, issues: tuple[LabelIssue, ...]) -> None:
        layer, path = self.active_map.current(), self._path
        if layer is not None:
            apply_fixes(layer, issues)
            on_checked = self._on_checked if path is None else self._on_checked_before_saving
            self.run_intent(self._check, on_checked)

    def _choose_file(self) -> None:
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
        self.checking.save(path, lambda: self._show_issues((), f"Saved as {path.name}."))

    def _on_failed(self, sentence: str, details: str) -> None:
        self.summary.set_text("")
        self.show_error(sentence, details)

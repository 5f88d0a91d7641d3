"""The dock widget *Segment*: checkpoint, device, engine, options, volumes."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QTableWidgetItem

from napari_ciml.errors import CimlError
from napari_ciml.inference.settings import ENGINES, has_openvino
from napari_ciml.inference.shipped_checkpoints import bundled_checkpoints
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.model_card import render_model_card
from napari_ciml.widgets.controllers.segmentation import FOLLOWING, SEGMENTING
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    label,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.markdown_dialog import MarkdownDialog
from napari_ciml.widgets.panels.run_change import ChangePanel
from napari_ciml.widgets.settings import DEVICES

if TYPE_CHECKING:
    from napari.viewer import Viewer

_ENGINE_NAMES = {"torch": "PyTorch", "openvino": "OpenVINO"}
_NO_OPENVINO = "OpenVINO is not installed; it is faster on a CPU: pip install 'napari-ciml[cpu]'"
_NO_CASE = "Open a case first, in Case. About ... shows the model card of this checkpoint."
_READY = "Press Segment. Region volumes are listed here; the label map is shown as a layer."


class SegmentWidget(Dock):
    """Segment the case.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.checkpoints = QComboBox()
        self.checkpoints.setToolTip("Checkpoint: the trained network to use.")
        self.browse = button("Other ...", "Choose a checkpoint file (.safetensors).")
        self.about = button(
            "About ...", "Model card: inputs, outputs, accuracy and limitations of this checkpoint."
        )
        self.dialog: MarkdownDialog | None = None
        self.description = WrappingLabel(colour=QUIET_COLOUR)
        self.device = QComboBox()
        self.device.addItems(DEVICES)
        self.device.setToolTip("Device to compute on; auto uses a GPU if there is one.")
        self.engine = engine_choice()
        self.postprocess = QCheckBox("Postprocess")
        self.postprocess.setToolTip(
            "Remove small components and fill holes, with the limits stored in the checkpoint. "
            "Probabilities are not changed. Alt + Z undoes."
        )
        self.test_time_flips = QCheckBox("Test-time flips")
        self.test_time_flips.setToolTip(
            "Average predictions over flips along every axis: eight times as long, so it starts "
            "only when Segment is pressed. Alt + Z undoes."
        )
        self.multiscale = QCheckBox("Multiscale")
        self.multiscale.setToolTip(
            "Average with a prediction at voxels 1.25 times as large: 1.5 times as long. "
            "The default comes from the checkpoint. Alt + Z undoes."
        )
        self.run = button("Segment", "Segment the case with the current decomposition.")
        self.jobs = JobBar(self, SEGMENTING, FOLLOWING)
        self.change = ChangePanel(self.session)
        self.volumes = table("Region", "mL", "")
        self.volumes.setToolTip("Volume of each region in mL.")
        self.summary = WrappingLabel(colour=QUIET_COLOUR)
        self.column.addLayout(row(self.checkpoints, self.about, self.browse))
        self.column.addWidget(self.description)
        self.column.addLayout(row(label("Device"), self.device, label("Engine"), self.engine))
        self.column.addLayout(row(self.postprocess, self.test_time_flips))
        self.column.addWidget(self.multiscale)
        self.column.addWidget(self.run)
        for part in (self.jobs, self.volumes, self.summary, self.change):
            self.column.addWidget(part)
        self.column.addStretch()
        self.add_footer()
        self.checkpoints.activated.connect(self._on_chosen)
        self.browse.clicked.connect(self._ask)
        self.about.clicked.connect(self._show_model_card)
        self.device.currentTextChanged.connect(self._set_device)
        self.engine.activated.connect(self._set_engine)
        self.postprocess.toggled.connect(partial(self.model.set_option, "postprocess"))
        self.test_time_flips.toggled.connect(partial(self.model.set_option, "test_time_flips"))
        self.multiscale.toggled.connect(partial(self.model.set_option, "multiscale"))
        self.run.clicked.connect(lambda: self.run_intent(self.session.segmentation.segment))
        self.model.checkpoint_changed.connect(self._show_checkpoint)
        self.model.device_changed.connect(self._show_settings)
        self.model.engine_changed.connect(self._show_settings)
        self.model.request_changed.connect(self._show_settings)
        self.model.segmentation_changed.connect(self._show_result)
        self._show_settings()
        self._show_checkpoint()
        self._show_result()

    def choose(self, path: Path) -> None:
        """Use a checkpoint; on an error the current one stays."""
        self.run_intent(self.model.set_checkpoint, path)

    def _on_chosen(self) -> None:
        self.choose(Path(self.checkpoints.currentData()))

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose a checkpoint", filter="Checkpoints (*.safetensors)"
        )
        if path:
            self.choose(Path(path))

    def _show_model_card(self) -> None:
        if self.model.info is not None:
            info = self.model.info
            self.dialog = MarkdownDialog(self, f"About {info.name}", render_model_card(info))
            self.dialog.show()

    def _set_device(self, device: str) -> None:
        self.model.set_device(device)

    def _set_engine(self) -> None:
        self.model.set_engine(self.engine.currentData())

    def _show_settings(self) -> None:
        self.device.setCurrentText(self.model.device)
        self.engine.setCurrentIndex(self.engine.findData(self.model.engine))
        options = self.model.request.options
        self.postprocess.setChecked(options.postprocess)
        self.test_time_flips.setChecked(options.test_time_flips)
        self.multiscale.setChecked(bool(options.multiscale))

    def _show_checkpoint(self) -> None:
        current = self.model.checkpoint
        self.checkpoints.clear()
        try:
            bundled = list(bundled_checkpoints())
        except CimlError:
            bundled = []
        for path in dict.fromkeys([*bundled, *([current] if current else [])]):
            self.checkpoints.addItem(path.name, str(path))
        if current is not None:
            self.checkpoints.setCurrentIndex(self.checkpoints.findData(str(current)))
        info = self.model.info
        self.about.setEnabled(info is not None)
        self.description.set_text(
            describe(info) if info else "No checkpoint. Choose one with Other ..."
        )

    def _show_probability(self, region: str, *_: object) -> None:
        self.session.label_maps.show_probability(region)

    def _show_result(self) -> None:
        result = self.model.segmentation
        self.volumes.setVisible(result is not None)
        if result is None:
            case = self.model.case
            self.summary.set_text(_NO_CASE if case is None else _READY)
            return
        decomposition = result.plan.decomposition
        self.volumes.setRowCount(len(decomposition.regions))
        for k, region in enumerate(decomposition.region_names):
            self.volumes.setItem(k, 0, QTableWidgetItem(region))
            self.volumes.setItem(k, 1, QTableWidgetItem(f"{result.volumes_ml[region]:.1f}"))
            show = button("Probability", f"Show the probability of {region} as a layer.")
            show.clicked.connect(partial(self._show_probability, region))
            self.volumes.setCellWidget(k, 2, show)
        self.volumes.setFixedHeight(32 * len(decomposition.regions) + 32)
        seconds = sum(result.seconds.values())
        device = f"{result.device} ({result.engine})"
        self.summary.set_text(f"'{decomposition.name}' in {seconds:.1f} s on {device}.")


def engine_choice() -> QComboBox:
    """Return a box of inference engines; one that is not installed is disabled."""
    box = QComboBox()
    box.setToolTip(
        "Inference engine; auto uses OpenVINO on a CPU if it is installed, else PyTorch."
    )
    for name in ENGINES:
        box.addItem(_ENGINE_NAMES.get(name, name), name)
    if not has_openvino():
        row = box.findData("openvino")
        model = cast("QStandardItemModel", box.model())
        model.item(row).setEnabled(False)
        box.setItemText(row, f"{_ENGINE_NAMES['openvino']} (not installed)")
        box.setItemData(row, _NO_OPENVINO, Qt.ItemDataRole.ToolTipRole)
    return box


def describe(info: CheckpointInfo) -> str:
    """Return inputs, regions, training data and accuracy of a checkpoint as text."""
    decomposition, training = info.decomposition, info.training
    spacing = " x ".join(f"{mm:g}" for mm in info.spacing)
    modalities, regions = (
        ", ".join(decomposition.input_modalities),
        ", ".join(decomposition.region_names),
    )
    parts = [f"{info.name}: {modalities} to {regions}, voxels of {spacing} mm."]
    parts.append(f"Trained for {training.steps} steps on {training.cases} cases ({training.data}).")
    full_input = [score for score in info.scores if not score.modalities]
    if full_input:
        dice = ", ".join(f"{score.region} {score.dice:.2f}" for score in full_input)
        parts.append(f"Mean Dice on {full_input[0].cases} {full_input[0].data}: {dice}.")
    return "\n".join(filter(None, (*parts, info.description)))

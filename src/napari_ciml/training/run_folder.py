"""Folder of a training run: settings, environment, log, curves, state."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from napari_ciml.errors import InputError
from napari_ciml.files import atomic_write, read_table, write_json, write_table, write_text
from napari_ciml.training.settings import Hardware, TrainSettings

SETTINGS, ENVIRONMENT, LOG, CURVES = "settings.json", "environment.json", "log.csv", "curves.png"
_PACKAGES = ("napari-ciml", "torch", "monai", "lightning-fabric", "numpy", "SimpleITK")


@dataclass(frozen=True)
class Epoch:
    """A line of the log.

    Parameters
    ----------
    epoch : int
        Number of finished epochs.
    learning_rate : float
        Learning rate of the epoch (eq. 13).
    loss, dice, cross_entropy, kl : float
        Means over the steps of the epoch, as in `LossParts`.
    waiting : float
        Fraction of the time spent waiting for patches.
    seconds : float
        Duration of the epoch.
    validation : mapping of str to float
        Dice by region on patches of validation cases.
    """

    epoch: int
    learning_rate: float
    loss: float
    dice: float
    cross_entropy: float
    kl: float
    waiting: float
    seconds: float
    validation: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFolder:
    """Folder with everything needed to understand a run and to resume it."""

    path: Path

    def begin(self, settings: TrainSettings, hardware: Hardware) -> None:
        """Write settings, environment and an empty log."""
        write_text(self.path / SETTINGS, settings.model_dump_json(indent=2))
        write_json(
            self.path / ENVIRONMENT,
            {
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
                "packages": {name: version(name) for name in _PACKAGES},
                "hardware": asdict(hardware),
            },
        )
        write_text(self.path / LOG, "")

    def resume(self, settings: TrainSettings) -> None:
        """Check that the folder holds a run with these settings.

        Raises
        ------
        InputError
            If it holds no run, or a run with other settings.
        """
        path = self.path / SETTINGS
        if not path.is_file():
            raise InputError(f"{self.path}: there is no run to resume; leave out --resume.")
        if json.loads(path.read_text(encoding="utf-8")) != settings.model_dump(mode="json"):
            raise InputError(
                f"{self.path}: the run there has other settings; choose another folder."
            )

    def log(self, epoch: Epoch) -> None:
        """Append a line to the log, replacing lines from this epoch on; redraw the curves."""
        row = {key: _text(value) for key, value in asdict(epoch).items() if key != "validation"}
        row |= {f"validation_{name}": _text(value) for name, value in epoch.validation.items()}
        rows = [old for old in self.rows() if int(old["epoch"]) < epoch.epoch] + [row]
        write_table(self.path / LOG, rows)
        if epoch.epoch % max(1, len(rows) // 50) == 0:
            self._draw(rows)

    def rows(self) -> list[dict[str, str]]:
        """Return the lines of the log."""
        return read_table(self.path / LOG)

    def _draw(self, rows: list[dict[str, str]]) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.2), layout="constrained")
        losses, scores = figure.subplots(1, 2)
        epochs = [int(row["epoch"]) for row in rows]
        for name in ("loss", "dice", "cross_entropy", "kl"):
            losses.plot(epochs, [float(row[name]) for row in rows], label=name.replace("_", " "))
        for name in (key for key in rows[-1] if key.startswith("validation_")):
            values = [float(row[name] or "nan") for row in rows]
            scores.plot(epochs, values, label=name.removeprefix("validation_"))
        losses.set(xlabel="epoch", title="Loss on training patches")
        scores.set(xlabel="epoch", title="Dice on validation patches", ylim=(0, 1))
        for axes in (losses, scores):
            if axes.has_data():
                axes.legend(frameon=False)
        with atomic_write(self.path / CURVES) as path:
            figure.savefig(path, dpi=110)


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"

"""The controller of fine-tuning: beside the session, on a thread of its own, giving way to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ciml.decomposition import Decomposition
from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.resources import sample_data
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.session import Session

if TYPE_CHECKING:
    from napari_ciml.cases.case import Case
    from napari_ciml.training.finetune.outcome import Controls, FineTuned


@dataclass(frozen=True)
class Corrected:
    """A case with its corrected label map.

    Parameters
    ----------
    case : Case
        As it is open.
    labels : numpy.ndarray
        On the case grid, (Z, Y, X).
    certain : numpy.ndarray or None
        Where the labels are to be believed, (Z, Y, X) bool; everywhere if None.
    """

    case: "Case"
    labels: np.ndarray
    certain: np.ndarray | None = None


class Tuning(QObject):
    """Fine-tunes the checkpoint in use, and keeps its versions.

    While the session's queue is busy, fine-tuning pauses between two steps: there is one device.

    Signals
    -------
    progressed(Progressed)
        After a step, not more often than the window can draw.
    changed()
        It began, paused, went on, or ended.
    """

    progressed = Signal(object)
    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.runner = JobRunner(self)
        self.controls: Controls | None = None
        self.result: FineTuned | None = None
        self.before: Path | None = None
        self.paused = False
        session.runner.started.connect(self._give_way)
        session.runner.idle.connect(self._give_way)
        for signal in (self.runner.started, self.runner.cancelled, self.runner.idle):
            signal.connect(lambda *_: self.changed.emit())

    @property
    def running(self) -> bool:
        """Whether a fine-tune is under way."""
        return self.runner.busy

    @property
    def waits(self) -> bool:
        """Whether it waits for the session's queue."""
        return self.running and self.session.runner.busy

    def start(
        self,
        corrected: Sequence[Corrected],
        settings: FineTuneSettings,
        replay: Path | None = None,
    ) -> None:
        """Learn from corrected cases.

        Parameters
        ----------
        corrected : sequence of Corrected
            At least one.
        settings : FineTuneSettings
            What to adapt, for how long.
        replay : pathlib.Path, optional
            A folder of cases not to forget; by default the sample case of the same modalities.

        Raises
        ------
        CimlError
            If one is under way, there is nothing to learn from, or no checkpoint is chosen.
        """
        path = self.session.review.checkpoint
        if self.running:
            raise CimlError("A fine-tune is under way; stop it first.")
        if path is None or not corrected:
            raise CimlError("Open a case and choose the labels to learn from first.")
        from napari_ciml.training.finetune.outcome import Controls, Progressed

        def report(progress: Progressed) -> None:
            self.progressed.emit(progress)

        self.controls, self.result, self.paused = Controls(progressed=report), None, False
        self._give_way()
        controls, device = self.controls, self.session.review.device
        wanted = self.session.review.decomposition

        def work(monitor: Monitor) -> "FineTuned":
            return _learn(
                path, list(corrected), settings, replay, monitor, controls, device, wanted
            )

        self.runner.submit("Learning", work, self._ended)

    def pause(self, paused: bool) -> None:
        """Hold, or go on."""
        self.paused = paused
        self._give_way()

    def finish(self) -> None:
        """End now with the best version so far."""
        if self.controls is not None:
            self.controls.finish.set()
            self.paused = False
            self._give_way()

    def discard(self) -> None:
        """End now and forget it."""
        self.runner.cancel()
        if self.controls is not None:
            self.controls.pause.clear()

    def adopt(self) -> None:
        """Use the new version from now on; the one before stays where it is."""
        if self.result is not None:
            self.before = self.session.review.checkpoint
            self.session.review.set_checkpoint(self.result.path)
            self.changed.emit()

    def go_back(self) -> None:
        """Use the version before again."""
        if self.before is not None:
            path, self.before = self.before, None
            self.session.review.set_checkpoint(path)
            self.changed.emit()

    def close(self) -> None:
        """Stop; the best version so far is on disk."""
        if self.controls is not None:
            self.controls.pause.clear()
        self.runner.close()

    def _give_way(self, *_: object) -> None:
        if self.controls is not None:
            wait = self.paused or self.session.runner.busy
            (self.controls.pause.set if wait else self.controls.pause.clear)()
        self.changed.emit()

    def _ended(self, result: "FineTuned") -> None:
        self.result = result


def _learn(
    path: Path,
    corrected: list[Corrected],
    settings: FineTuneSettings,
    replay: Path | None,
    monitor: Monitor,
    controls: "Controls",
    device: str,
    wanted: Decomposition,
) -> "FineTuned":
    """Prepare the cases and learn; runs in a thread."""
    from napari_ciml.network.checkpoint import load_checkpoint
    from napari_ciml.training.audit import refuse_strange_labels
    from napari_ciml.training.cohort import to_training_case
    from napari_ciml.training.datasets import replay_cases
    from napari_ciml.training.finetune.data import read_cases, space_for
    from napari_ciml.training.finetune.run import finetune
    from napari_ciml.training.settings import Hardware

    checkpoint = load_checkpoint(path)
    space = space_for(checkpoint.info, wanted)
    monitor.step("Preparing the cases")
    for one in corrected:
        refuse_strange_labels(one.labels, wanted, "The label map")
    learnt = [to_training_case(c.case, c.labels, space, c.certain) for c in corrected]
    others = replay_cases(replay, sample_data(), wanted.used_modalities)
    return finetune(
        checkpoint,
        learnt,
        read_cases(others, space, monitor),
        settings,
        next_version(path),
        monitor,
        decomposition=wanted,
        hardware=Hardware(device=device, workers=0),
        controls=controls,
    )


def next_version(path: Path) -> Path:
    """Return where a checkpoint's next version goes: into the user's own folder, numbered."""
    from platformdirs import user_data_path

    folder = user_data_path("napari-ciml", appauthor=False) / "checkpoints"
    stem = path.stem.rpartition("-v")[0] or path.stem
    number = 1
    while (made := folder / f"{stem}-v{number}.safetensors").exists():
        number += 1
    return made

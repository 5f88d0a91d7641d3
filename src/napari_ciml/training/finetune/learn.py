"""A fine-tune from its folder: begun, or gone on with."""

from napari_ciml.errors import CancelledError, InputError
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.training.finetune.folder import Lesson, LessonFolder
from napari_ciml.training.finetune.keeper import gone_by
from napari_ciml.training.finetune.outcome import Controls, FineTuned
from napari_ciml.training.finetune.run import finetune
from napari_ciml.training.settings import Hardware


def learn(folder: LessonFolder, monitor: Monitor, controls: Controls | None = None) -> FineTuned:
    """Do what a folder's lesson asks for, from where it was left; the folder goes when it is done.

    Cancelling leaves the folder, and so does the end of the process at any moment, or a failure
    after the first steps.

    Raises
    ------
    InputError
        If there is no lesson, its checkpoint has changed, or another process is at it; and as
        `finetune`.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    with folder.owned():
        try:
            done = _learn(folder, folder.lesson(), monitor, controls)
        except CancelledError:
            raise
        except Exception:
            # What was learnt before a full disk or memory is not lost; without a step nothing is.
            if not gone_by(folder.path)[0]:
                folder.forget()
            raise
    folder.forget()
    return done


def _learn(
    folder: LessonFolder, lesson: Lesson, monitor: Monitor, controls: Controls | None
) -> FineTuned:
    checkpoint = load_checkpoint(lesson.checkpoint)
    if checkpoint.sha256 != lesson.sha256:
        raise InputError(
            f"{lesson.checkpoint}: is another file than when the fine-tune began; begin a new one."
        )
    corrected, replay = folder.cases()
    return finetune(
        checkpoint,
        corrected,
        replay,
        lesson.settings,
        lesson.path,
        monitor,
        decomposition=lesson.decomposition,
        hardware=Hardware(device=lesson.device, workers=0),
        controls=controls,
        state=folder.path,
    )

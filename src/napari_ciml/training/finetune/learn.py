"""A fine-tune from its folder: begun, or gone on with."""

from napari_ciml.errors import CancelledError, InputError
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.finetune.autosave import saved_progress
from napari_ciml.training.finetune.job import FineTuneJob, FineTuneJobFolder
from napari_ciml.training.finetune.results import Controls, FineTuneResult
from napari_ciml.training.finetune.run import finetune
from napari_ciml.training.settings import Hardware


def run_job(
    folder: FineTuneJobFolder, monitor: ProgressMonitor, controls: Controls | None = None
) -> FineTuneResult:
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
    with folder.lock():
        try:
            done = _learn(folder, folder.lesson(), monitor, controls)
        except CancelledError:
            raise
        except Exception:
            # What was learnt before a full disk or memory is not lost; without a step nothing is.
            if not saved_progress(folder.path)[0]:
                folder.forget()
            raise
    folder.forget()
    return done


def _learn(
    folder: FineTuneJobFolder,
    lesson: FineTuneJob,
    monitor: ProgressMonitor,
    controls: Controls | None,
) -> FineTuneResult:
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

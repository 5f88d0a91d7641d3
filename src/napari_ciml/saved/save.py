"""Saving a review session."""

import math
from contextlib import suppress
from pathlib import Path

from napari_ciml import __version__
from napari_ciml.cases.case import Case
from napari_ciml.explanation.explain import Explanation
from napari_ciml.export.text import write_text
from napari_ciml.files import prepare_folder
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint_info import file_hash
from napari_ciml.saved.models import (
    FILE,
    SavedCorrection,
    SavedExplanation,
    SavedMap,
    SavedPair,
    SavedRun,
    SavedSession,
    SavedVolume,
)
from napari_ciml.saved.sources import save_sources
from napari_ciml.saved.state import Run, State
from napari_ciml.saved.volumes import write_once


def save_session(folder: Path, state: State, monitor: Monitor) -> Path:
    """Save a session to a folder; one that is there is replaced when all is written.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it is not there.
    state : State
        What is saved.
    monitor : Monitor
        Told before each volume.

    Returns
    -------
    pathlib.Path
        ``session.json``.

    Raises
    ------
    InputError
        If something cannot be written; the session before is then as it was.
    CancelledError
        If the monitor's ``stop`` is set; likewise.
    """
    prepare_folder(folder)
    case, checkpoint = state.case, state.checkpoint
    saved = SavedSession(
        software=f"napari-ciml {__version__}",
        name=state.scan.name,
        root=str(state.scan.root.resolve()),
        reference=case.reference,
        sources=save_sources(folder, case.sources, monitor),
        decomposition=state.decomposition,
        checkpoint=str(checkpoint.resolve()) if checkpoint else None,
        checkpoint_sha256=file_hash(checkpoint) if checkpoint else None,
        device=state.device,
        clean=state.clean,
        current=state.current,
        runs=tuple(_run(folder, run, case, monitor) for run in state.runs),
        corrections=tuple(
            SavedCorrection(
                name=one.name,
                current=one.current,
                volume=write_once(folder, "corrected", one.labels, case.grid),
            )
            for one in state.corrections
        ),
        marks=state.marks,
        looks=state.looks,
        view=state.view,
    )
    path = write_text(folder / FILE, saved.model_dump_json(indent=1) + "\n")
    _remove_others(folder, saved)
    return path


def _run(folder: Path, run: Run, case: Case, monitor: Monitor) -> SavedRun:
    made = run.segmentation
    monitor.step(f"Saving '{run.name}'")
    return SavedRun(
        name=run.name,
        decomposition=made.plan.decomposition,
        muted=tuple(sorted((m.primary, m.auxiliary) for m in made.plan.muted)),
        checkpoint=made.checkpoint,
        spacing=run.spacing,
        normalisation=dict(run.normalisation),
        cleaned=made.cleaned,
        engine=made.engine,
        device=made.device,
        seconds=made.seconds,
        peak_memory_mib=made.peak_memory_mib,
        notices=made.notices,
        volumes_ml=made.volumes_ml,
        labels=write_once(folder, "labels", made.label_map, case.grid),
        probabilities={
            name: write_once(folder, f"probability_{name}", values, case.grid)
            for name, values in made.probabilities.items()
        },
        pairs=tuple(
            SavedPair(
                primary=pair.primary,
                region=pair.region,
                volume=write_once(
                    folder, f"pair_{pair.primary}_{pair.region}", values, made.model_input.grid
                ),
            )
            for pair, values in made.pairs.items()
        ),
        explanation=_explanation(folder, run.explanation, case, monitor),
    )


def _explanation(
    folder: Path, made: Explanation | None, case: Case, monitor: Monitor
) -> SavedExplanation | None:
    if made is None:
        return None
    maps = []
    for done, ((pair, auxiliary), weight) in enumerate(made.weights.items()):
        monitor.step("Saving maps", done, len(made.weights))
        name = f"map_{pair.primary}_{pair.region}_{auxiliary}"
        maps.append(
            SavedMap(
                primary=pair.primary,
                region=pair.region,
                auxiliary=auxiliary,
                weight=None if math.isnan(weight) else weight,
                volume=write_once(folder, name, made.maps[pair, auxiliary], case.grid),
            )
        )
    return SavedExplanation(largest=made.largest, notices=made.notices, maps=tuple(maps))


def _remove_others(folder: Path, saved: SavedSession) -> None:
    """Remove volumes of the session before that this one has no use for."""
    used = {volume.file for volume in volumes_of(saved)}
    for path in folder.glob("*-????????????.nii.gz"):
        if path.name not in used:
            with suppress(OSError):
                path.unlink()


def volumes_of(saved: SavedSession) -> list[SavedVolume]:
    """Return every volume of a session."""
    found = [one.volume for one in saved.corrections]
    for run in saved.runs:
        found += [run.labels, *run.probabilities.values(), *(pair.volume for pair in run.pairs)]
        found += [one.volume for one in run.explanation.maps] if run.explanation else []
    return found

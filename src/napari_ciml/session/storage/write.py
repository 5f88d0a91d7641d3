"""Saving a review session."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_ciml import __version__
from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.reference import Reference
from napari_ciml.explanation.result import Explanation
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.inference.result import Uncertainty
from napari_ciml.network.checkpoint_info import file_hash
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.schema import (
    FILE,
    UNCERTAINTY,
    SavedAnswer,
    SavedCorrection,
    SavedExplanation,
    SavedMap,
    SavedPair,
    SavedReference,
    SavedRequest,
    SavedRun,
    SavedSession,
    SavedTiles,
    SavedVolume,
)
from napari_ciml.session.storage.snapshot import SessionSnapshot
from napari_ciml.session.storage.sources import save_sources
from napari_ciml.session.storage.volumes import write_content_addressed


def save_session(folder: Path, state: SessionSnapshot, monitor: ProgressMonitor) -> Path:
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
    ensure_writable_folder(folder)
    case, checkpoint = state.case, state.checkpoint
    places = {id(run.segmentation): k for k, run in enumerate(state.runs)}
    saved = SavedSession(
        software=f"napari-ciml {__version__}",
        name=state.discovered.name,
        root=str(state.discovered.root.resolve()),
        reference=case.reference,
        transforms=dict(case.transforms),
        brain=_brain(folder, case),
        sources=save_sources(folder, case.sources, monitor),
        **dict(_request(state.request)),
        past=tuple(_request(one) for one in state.past),
        future=tuple(_request(one) for one in state.future),
        live=state.live,
        grid=state.grid,
        checkpoint=str(checkpoint.resolve()) if checkpoint else None,
        checkpoint_sha256=file_hash(checkpoint) if checkpoint else None,
        device=state.device,
        engine=state.engine,
        current=state.current,
        runs=tuple(_run(folder, run, case, monitor) for run in state.runs),
        corrections=tuple(
            SavedCorrection(
                name=one.name,
                current=one.current,
                regions=one.regions,
                volume=write_content_addressed(folder, "corrected", one.labels, case.grid),
            )
            for one in state.corrections
        ),
        answered=tuple(
            _answer(folder, one, places[id(one.segmentation)], monitor) for one in state.answered
        ),
        map_view=state.map_view,
        reviewed=state.reviewed,
        reference_labels=_reference(folder, state.reference, case),
        active_label_map=state.active_label_map,
        overlay=state.overlay,
        run_comparison=state.run_comparison,
        appearances=state.appearances,
        camera=state.camera,
    )
    path = write_text(folder / FILE, saved.model_dump_json(indent=1) + "\n")
    _remove_others(folder, saved)
    return path


def _request(request: SegmentationRequest) -> SavedRequest:
    return SavedRequest(decomposition=request.decomposition, options=request.options)


def _brain(folder: Path, case: Case) -> SavedVolume | None:
    if case.brain is None:
        return None
    return write_content_addressed(folder, "brain", case.brain.astype(np.uint8), case.grid)


def _reference(folder: Path, found: Reference | None, case: Case) -> SavedReference | None:
    if found is None:
        return None
    return SavedReference(
        name=found.name,
        regions=found.regions,
        conventions=found.conventions,
        notices=found.notices,
        volume=write_content_addressed(folder, "compared", found.labels, case.grid),
    )


def _run(folder: Path, run: Run, case: Case, monitor: ProgressMonitor) -> SavedRun:
    made = run.segmentation
    tiling = made.cache.runtime.tiling
    monitor.step(f"Saving '{run.name}'")
    return SavedRun(
        name=run.name,
        named=run.named,
        decomposition=made.plan.decomposition,
        muted=tuple(sorted(made.plan.muted)),
        settings=made.settings,
        tiles=SavedTiles(
            device=made.cache.runtime.device.type,
            shape=tiling.shape,
            tile=tiling.tile,
            starts=tiling.starts,
        ),
        checkpoint=made.checkpoint,
        info=run.info,
        engine=made.engine,
        device=made.device,
        seconds=made.seconds,
        peak_memory_mib=made.peak_memory_mib,
        notices=made.notices,
        volumes_ml=made.volumes_ml,
        labels=write_content_addressed(folder, "labels", made.label_map, case.grid),
        probabilities={
            name: write_content_addressed(folder, f"probability_{name}", values, case.grid)
            for name, values in made.probabilities.items()
        },
        pairs=tuple(
            SavedPair(
                primary=pair.primary,
                region=pair.region,
                volume=write_content_addressed(
                    folder, f"pair_{pair.primary}_{pair.region}", values, made.model_input.grid
                ),
            )
            for pair, values in made.pair_probabilities.items()
        ),
        uncertainty=_uncertainty(folder, made.uncertainty, made.model_input.grid),
        sampled_ml=dict(made.uncertainty.volumes_ml) if made.uncertainty else {},
        explanation=_explanation(folder, run.explanation, made.model_input.grid, monitor),
    )


def _uncertainty(
    folder: Path, made: Uncertainty | None, grid: Grid
) -> dict[str, dict[str, SavedVolume]] | None:
    if made is None:
        return None
    return {
        part: {
            name: write_content_addressed(folder, f"{part}_{name}", values, grid)
            for name, values in getattr(made, part).source_arrays.items()
        }
        for part in UNCERTAINTY
    }


def _explanation(
    folder: Path, made: Explanation | None, grid: Grid, monitor: ProgressMonitor
) -> SavedExplanation | None:
    if made is None:
        return None
    maps, saved = made.maps.source_arrays, []
    for done, ((pair, auxiliary), weight) in enumerate(made.weights.items()):
        monitor.step("Saving maps", done, len(made.weights))
        name = f"map_{pair.primary}_{pair.region}_{auxiliary}"
        saved.append(
            SavedMap(
                primary=pair.primary,
                region=pair.region,
                auxiliary=auxiliary,
                weight=None if math.isnan(weight) else weight,
                volume=write_content_addressed(folder, name, maps[pair, auxiliary], grid),
            )
        )
    strongest = made.strongest and (*made.strongest[0], made.strongest[1])
    return SavedExplanation(
        scale=made.scale, strongest=strongest, notices=made.notices, maps=tuple(saved)
    )


def _answer(
    folder: Path, question: AnsweredQuery, run: int, monitor: ProgressMonitor
) -> SavedAnswer:
    grid = question.segmentation.model_input.grid
    explanation = _explanation(folder, question.explanation, grid, monitor)
    assert explanation is not None
    return SavedAnswer(name=question.name, run=run, explanation=explanation)


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
    found += [saved.brain] if saved.brain else []
    found += [saved.reference_labels.volume] if saved.reference_labels else []
    answers = [one.explanation for one in saved.answered]
    for run in saved.runs:
        found += [run.labels, *run.probabilities.values(), *(pair.volume for pair in run.pairs)]
        answers += [run.explanation] if run.explanation else []
        found += [one for part in (run.uncertainty or {}).values() for one in part.values()]
    return found + [one.volume for answer in answers for one in answer.maps]

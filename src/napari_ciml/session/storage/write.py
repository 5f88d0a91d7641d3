"""Write a review session."""

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
        Created if it does not exist.
    state : SessionSnapshot
        Session to save.
    monitor : ProgressMonitor
        Receives a step before each run and image.

    Returns
    -------
    pathlib.Path
        ``session.json``.

    Raises
    ------
    InputError
        If something cannot be written; an earlier session is then unchanged.
    CancelledError
        If the monitor's ``stop`` is set; likewise.
    """
    ensure_writable_folder(folder)
    case, checkpoint = state.case, state.checkpoint
    indices = {id(run.segmentation): k for k, run in enumerate(state.runs)}
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
            _answer(folder, one, indices[id(one.segmentation)], monitor) for one in state.answered
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


def _reference(folder: Path, reference: Reference | None, case: Case) -> SavedReference | None:
    if reference is None:
        return None
    return SavedReference(
        name=reference.name,
        regions=reference.regions,
        conventions=reference.conventions,
        notices=reference.notices,
        volume=write_content_addressed(folder, "compared", reference.labels, case.grid),
    )


def _run(folder: Path, run: Run, case: Case, monitor: ProgressMonitor) -> SavedRun:
    segmentation = run.segmentation
    runtime, grid = segmentation.cache.runtime, segmentation.model_input.grid
    tiling = runtime.tiling
    monitor.step(f"Saving '{run.name}'")
    return SavedRun(
        name=run.name,
        named=run.named,
        decomposition=segmentation.plan.decomposition,
        muted=tuple(sorted(segmentation.plan.muted)),
        settings=segmentation.settings,
        tiles=SavedTiles(
            device=runtime.device.type,
            shape=tiling.shape,
            tile=tiling.tile,
            starts=tiling.starts,
        ),
        checkpoint=segmentation.checkpoint,
        info=run.info,
        engine=segmentation.engine,
        device=segmentation.device,
        seconds=segmentation.seconds,
        peak_memory_mib=segmentation.peak_memory_mib,
        notices=segmentation.notices,
        volumes_ml=segmentation.volumes_ml,
        labels=write_content_addressed(folder, "labels", segmentation.label_map, case.grid),
        probabilities={
            name: write_content_addressed(folder, f"probability_{name}", values, case.grid)
            for name, values in segmentation.probabilities.items()
        },
        pairs=tuple(
            SavedPair(
                primary=pair.primary,
                region=pair.region,
                volume=write_content_addressed(
                    folder, f"pair_{pair.primary}_{pair.region}", values, grid
                ),
            )
            for pair, values in segmentation.pair_probabilities.items()
        ),
        uncertainty=_uncertainty(folder, segmentation.uncertainty, grid),
        sampled_ml=dict(segmentation.uncertainty.volumes_ml) if segmentation.uncertainty else {},
        explanation=_explanation(folder, run.explanation, grid, monitor),
    )


def _uncertainty(
    folder: Path, uncertainty: Uncertainty | None, grid: Grid
) -> dict[str, dict[str, SavedVolume]] | None:
    if uncertainty is None:
        return None
    return {
        part: {
            name: write_content_addressed(folder, f"{part}_{name}", values, grid)
            for name, values in getattr(uncertainty, part).source_arrays.items()
        }
        for part in UNCERTAINTY
    }


def _explanation(
    folder: Path, explanation: Explanation | None, grid: Grid, monitor: ProgressMonitor
) -> SavedExplanation | None:
    if explanation is None:
        return None
    maps, saved = explanation.maps.source_arrays, []
    for k, ((pair, auxiliary), weight) in enumerate(explanation.weights.items()):
        monitor.step("Saving maps", k, len(explanation.weights))
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
    strongest = explanation.strongest and (*explanation.strongest[0], explanation.strongest[1])
    return SavedExplanation(
        scale=explanation.scale, strongest=strongest, notices=explanation.notices, maps=tuple(saved)
    )


def _answer(folder: Path, query: AnsweredQuery, run: int, monitor: ProgressMonitor) -> SavedAnswer:
    grid = query.segmentation.model_input.grid
    explanation = _explanation(folder, query.explanation, grid, monitor)
    assert explanation is not None
    return SavedAnswer(name=query.name, run=run, explanation=explanation)


def _remove_others(folder: Path, saved: SavedSession) -> None:
    """Remove volumes of the earlier session that this one does not use."""
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

"""Read a saved review session."""

import json
from collections.abc import Iterable
from pathlib import Path
from weakref import ref

from pydantic import ValidationError

from napari_ciml.cases.case import load_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.cases.reference import Reference
from napari_ciml.cases.skull_stripping import with_brain_mask
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.errors import DeviceError, InputError
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.device import choose_device, choose_engine
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.result import Segmentation, Uncertainty
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tiles import Tiling
from napari_ciml.network.checkpoint_info import file_hash
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.schema import (
    FILE,
    FORMAT_VERSION,
    SavedAnswer,
    SavedExplanation,
    SavedRequest,
    SavedRun,
    SavedSession,
    SavedTiles,
)
from napari_ciml.session.storage.shared import SessionVolumes
from napari_ciml.session.storage.snapshot import EditedLabelMap, SessionSnapshot
from napari_ciml.session.storage.sources import find_sources, rediscover
from napari_ciml.session.storage.volumes import read_verified


def read_session(folder: Path) -> SavedSession:
    """Read ``session.json``, without the volumes.

    Raises
    ------
    InputError
        If there is no session, it is damaged, or it has another format version.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: there is no session to be read; choose another one.") from error
    _refuse_other_format(path, text)
    try:
        return SavedSession.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path}: {field}: {first['msg']}; it is damaged, or of another version."
        ) from error


def _refuse_other_format(path: Path, text: str) -> None:
    try:
        fields = json.loads(text)
    except ValueError:
        return
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise InputError(
            f"{path}: its format_version {version} is of another version of napari-ciml, this one "
            f"reads {FORMAT_VERSION}; open the case itself."
        )


def open_session(folder: Path, monitor: ProgressMonitor) -> SessionSnapshot:
    """Open a saved session with its images and volumes.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the session.
    monitor : ProgressMonitor
        Receives every step, and a notice if the checkpoint is missing or has changed.

    Raises
    ------
    InputError
        If an image or a volume is missing, damaged or changed.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    saved = read_session(folder)
    sources = find_sources(folder, saved, monitor)
    case = load_case(
        sources,
        name=saved.name,
        reference=saved.reference,
        transforms=saved.transforms,
        monitor=monitor,
    )
    if saved.brain is not None:
        case = with_brain_mask(case, read_verified(folder, saved.brain) > 0)
    found, modalities = rediscover(saved, sources)
    common = SessionVolumes(folder, case, monitor)
    runs = [_run(common, run) for run in saved.runs]
    answered = [_answered_query(common, one, runs[one.run].segmentation) for one in saved.answered]
    return SessionSnapshot(
        discovered=found,
        modalities=tuple(modalities),
        case=case,
        request=_request(saved),
        past=[_request(one) for one in saved.past],
        future=[_request(one) for one in saved.future],
        checkpoint=_checkpoint(saved, monitor),
        device=saved.device,
        engine=saved.engine,
        runs=runs,
        current=saved.current,
        corrections=[
            EditedLabelMap(one.name, read_verified(folder, one.volume), one.current, one.regions)
            for one in saved.corrections
        ],
        live=saved.live,
        answered=answered,
        map_view=saved.map_view,
        grid=saved.grid,
        reviewed=saved.reviewed,
        reference=_reference(folder, saved),
        active_label_map=saved.active_label_map,
        overlay=saved.overlay,
        run_comparison=saved.run_comparison,
        appearances=saved.appearances,
        camera=saved.camera,
    )


def _request(saved: SavedRequest) -> SegmentationRequest:
    return SegmentationRequest(saved.decomposition, saved.options)


def _checkpoint(saved: SavedSession, monitor: ProgressMonitor) -> Path | None:
    """Return the checkpoint if it exists; a session can be reviewed without it."""
    if saved.checkpoint is None:
        return None
    path = Path(saved.checkpoint)
    if not path.is_file():
        monitor.notify(f"{path}: the checkpoint of this session is missing; choose another one.")
        return None
    if file_hash(path) != saved.checkpoint_sha256:
        monitor.notify(f"{path}: the checkpoint has changed since the session was saved.")
    return path


def _reference(folder: Path, saved: SavedSession) -> Reference | None:
    one = saved.reference_labels
    if one is None:
        return None
    labels = read_verified(folder, one.volume)
    return Reference(one.name, labels, one.regions, one.conventions, one.notices)


def _run(common: SessionVolumes, run: SavedRun) -> Run:
    common.monitor.step(f"Opening '{run.name}'")
    pairs = {Pair(one.primary, one.region): common.volume(one.volume) for one in run.pairs}
    settings = run.settings
    plan = InferencePlan(run.decomposition, tuple(pairs), _messages(run.muted), settings.weights)
    model_input = common.model_input(plan.modalities, run.info)
    cache = InferenceCache(_runtime(run.tiles, run.engine))
    cache.store_probabilities(plan, pairs)
    segmentation = Segmentation(
        label_map=read_verified(common.folder, run.labels),  # painted on: each run has its own
        probabilities={n: common.volume(one) for n, one in run.probabilities.items()},
        volumes_ml=run.volumes_ml,
        plan=plan,
        checkpoint=run.checkpoint,
        model_input=model_input,
        pair_probabilities=pairs,
        settings=settings,
        cache=cache,
        case=ref(common.case),
        engine=run.engine,
        device=run.device,
        seconds=run.seconds,
        peak_memory_mib=run.peak_memory_mib,
        notices=run.notices,
        uncertainty=_uncertainty(common, run, model_input.grid),
    )
    saved = run.explanation
    explanation = None if saved is None else _answer(common, saved, model_input.grid)
    return Run(run.name, segmentation, explanation, run.info, run.named)


def _answered_query(
    common: SessionVolumes, saved: SavedAnswer, segmentation: Segmentation
) -> AnsweredQuery:
    grid = segmentation.model_input.grid
    return AnsweredQuery(saved.name, _answer(common, saved.explanation, grid), segmentation)


def _messages(named: Iterable[tuple[str, str]]) -> frozenset[Message]:
    return frozenset(Message(primary, auxiliary) for primary, auxiliary in named)


def _runtime(tiles: SavedTiles, name: str) -> Runtime:
    """Return the runtime of the run; if its device or engine is not available, CPU and torch."""
    try:
        device = choose_device(tiles.device)
        engine = choose_engine(name, device)
    except DeviceError:
        device, engine = choose_device("cpu"), "torch"
    return Runtime(device, Tiling(tiles.shape, tiles.tile, tiles.starts), engine)


def _uncertainty(common: SessionVolumes, run: SavedRun, grid: Grid) -> Uncertainty | None:
    if run.uncertainty is None:
        return None
    parts = {
        part: LazyResampledVolumes(
            {name: common.volume(one) for name, one in volumes.items()}, grid, common.case.grid
        )
        for part, volumes in run.uncertainty.items()
    }
    settings = run.settings
    return Uncertainty(settings.kappa_samples, settings.seed, **parts, volumes_ml=run.sampled_ml)


def _answer(common: SessionVolumes, saved: SavedExplanation, grid: Grid) -> Explanation:
    maps, weights = {}, {}
    for one in saved.maps:
        key = (Pair(one.primary, one.region), one.auxiliary)
        maps[key] = common.volume(one.volume)
        weights[key] = float("nan") if one.weight is None else one.weight
    strongest = saved.strongest and (Pair(*saved.strongest[:2]), saved.strongest[2])
    resampled = LazyResampledVolumes(maps, grid, common.case.grid, 1 / (saved.scale or 1.0))
    return Explanation(resampled, weights, saved.scale, strongest, saved.notices)

"""Segment a case: preprocess, run the network, postprocess."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from weakref import ref

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import PreprocessedCase, preprocess
from napari_ciml.decomposition.model import Decomposition, Pair
from napari_ciml.errors import CheckpointError, InputError
from napari_ciml.inference.background_compile import BackgroundCompiler
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.device import choose_device, choose_engine, peak_memory_mib
from napari_ciml.inference.ensemble import (
    EnsembledSegmentation,
    assemble,
    ensemble,
    resample_to_case,
)
from napari_ciml.inference.plan import InferencePlan, make_plan
from napari_ciml.inference.result import Segmentation, Uncertainty
from napari_ciml.inference.reuse import is_reusable, unchanged_probabilities
from napari_ciml.inference.runtime import Runtime, run_with_oom_fallback
from napari_ciml.inference.sampling import (
    SampleStatistics,
    require_variational,
    sample,
    to_case_uncertainty,
)
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.sliding_window import compile_parts, predict_pairs
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

_Pairs = dict[Pair, np.ndarray]
"""Probabilities of pairs on the model grid, (z, y, x) float32."""


def require_same_checkpoint(checkpoint: Checkpoint, segmentation: Segmentation, case: Case) -> None:
    """Require that a segmentation was made with a checkpoint.

    Raises
    ------
    CheckpointError
        If it was made with another one.
    """
    if checkpoint.sha256 != segmentation.checkpoint:
        raise CheckpointError(
            f"{case.name} was segmented with another checkpoint; segment it again with this one."
        )


@dataclass
class _StageTimer:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        total = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self.seconds[name] = round(total, 3)


@dataclass(frozen=True)
class _Run:
    """Inputs of one segmentation, complete before anything is computed."""

    case: Case
    checkpoint: Checkpoint
    plan: InferencePlan
    settings: SegmentSettings
    monitor: ProgressMonitor
    compiler: BackgroundCompiler
    previous: Segmentation | None
    timer: _StageTimer = field(default_factory=_StageTimer)

    def context(self, cache: InferenceCache) -> InferenceContext:
        return InferenceContext(self.checkpoint, self.plan, cache, self.monitor)


def segment(
    case: Case,
    checkpoint: Checkpoint,
    decomposition: Decomposition | None = None,
    settings: SegmentSettings | None = None,
    monitor: ProgressMonitor | None = None,
    previous: Segmentation | None = None,
) -> Segmentation:
    """Segment a case.

    Parameters
    ----------
    case : Case
        The case, with every modality that the decomposition uses.
    checkpoint : Checkpoint
        The network.
    decomposition : Decomposition, optional
        Subtasks to run; the checkpoint's own decomposition by default.
    settings : SegmentSettings, optional
        Device, engine, muted messages and options.
    monitor : ProgressMonitor, optional
        Receives progress and notices; can cancel within one tile.
    previous : Segmentation, optional
        Previous segmentation of the same case. What is still valid of it is reused: the result is
        the same, but muting a message runs one segmentor, and changing a threshold or weight none.

    Raises
    ------
    InputError
        If the case lacks a modality.
    CheckpointError, DecompositionError
        If the checkpoint does not support the decomposition.
    DeviceError
        If the device is not available or its memory is too small.
    CancelledError
        If the monitor is cancelled.
    """
    notices: list[str] = []
    run = _prepare_run(
        case,
        checkpoint,
        decomposition or checkpoint.info.decomposition,
        _with_checkpoint_defaults(settings or SegmentSettings(), checkpoint),
        _recording(monitor or ProgressMonitor(), notices),
        previous,
    )
    with run.timer.stage("prepare"):
        model_input = _preprocess(run)
        if run.previous is not None and model_input.grid != run.previous.model_input.grid:
            run = replace(run, previous=None)
    pairs, cache = _predict(run, model_input)
    uncertainty = None
    if run.settings.kappa_samples:
        with run.timer.stage("samples"):
            uncertainty = _sample(run, model_input, cache)
    with run.timer.stage("assemble"):
        ensembled = _ensemble(run, model_input, pairs)
    modalities = checkpoint.info.decomposition.input_modalities
    return Segmentation(
        label_map=ensembled.label_map,
        probabilities=ensembled.probabilities,
        volumes_ml=ensembled.volumes_ml,
        plan=run.plan,
        checkpoint=checkpoint.sha256,
        model_input=model_input,
        pair_probabilities=pairs,
        settings=run.settings,
        cache=cache,
        case=ref(case),
        engine=cache.runtime.engine,
        device=cache.runtime.device.type,
        seconds=run.timer.seconds,
        peak_memory_mib=peak_memory_mib(),
        notices=tuple(notices),
        uncertainty=uncertainty,
        missing=tuple(name for name in modalities if name not in case.images),
    )


def _with_checkpoint_defaults(settings: SegmentSettings, checkpoint: Checkpoint) -> SegmentSettings:
    """Fill in options that default to what the checkpoint says."""
    if settings.multiscale is not None:
        return settings
    return replace(settings, multiscale=checkpoint.info.postprocessing.multiscale)


def _recording(monitor: ProgressMonitor, notices: list[str]) -> ProgressMonitor:
    """Return a monitor that also appends notices to a list."""

    def notify(text: str) -> None:
        notices.append(text)
        monitor.notify(text)

    return replace(monitor, notify=notify)


def _prepare_run(
    case: Case,
    checkpoint: Checkpoint,
    decomposition: Decomposition,
    settings: SegmentSettings,
    monitor: ProgressMonitor,
    previous: Segmentation | None,
) -> _Run:
    """Check everything that can be checked before computing."""
    plan = make_plan(checkpoint.info, decomposition, settings.muted, settings.weights)
    if settings.kappa_samples:
        require_variational(checkpoint.info)
    device = choose_device(settings.device)
    engine = choose_engine(settings.engine, device)
    _require_modalities(case, plan)
    if previous is not None and not is_reusable(previous, case, checkpoint, settings):
        previous = None
    compiler = BackgroundCompiler(checkpoint, plan, device, engine, settings.overlap, monitor)
    return _Run(case, checkpoint, plan, settings, monitor, compiler, previous)


def _require_modalities(case: Case, plan: InferencePlan) -> None:
    missing = [name for name in plan.modalities if name not in case.images]
    if missing:
        raise InputError(
            f"{case.name}: {', '.join(missing)} is missing (found: {', '.join(case.images)}); "
            f"add it, name it with --modality, or choose a decomposition without it."
        )


def _preprocess(run: _Run) -> PreprocessedCase:
    previous, info = run.previous, run.checkpoint.info
    if previous is not None and previous.plan.modalities == run.plan.modalities:
        return previous.model_input
    on_grid = run.compiler.start if previous is None else None
    return preprocess(
        run.case, run.plan.modalities, info.spacing, info.normalisation, run.monitor, on_grid
    )


def _predict(run: _Run, model_input: PreprocessedCase) -> tuple[_Pairs, InferenceCache]:
    """Run the network for pairs that are not cached; return all pairs and the cache."""
    shape, previous, settings = model_input.foreground.shape, run.previous, run.settings

    def attempt(runtime: Runtime) -> tuple[_Pairs, InferenceCache]:
        cache = InferenceCache(runtime)
        if previous is not None and previous.cache.runtime is runtime:
            cache = previous.cache
        if settings.multiscale:
            cache.ensure_coarse(shape)
        context = run.context(cache)
        if runtime.engine == "openvino":
            with run.timer.stage("compile"):
                run.compiler.wait()
                compile_parts(context)
        with run.timer.stage("network"):
            pairs = predict_pairs(
                context,
                model_input.images,
                test_time_flips=settings.test_time_flips,
                multiscale=bool(settings.multiscale),
            )
        return pairs, cache

    first = previous.cache.runtime if previous is not None else run.compiler.runtime(shape)
    result, _ = run_with_oom_fallback(attempt, first, shape, run.checkpoint.info, run.monitor)
    return result


def _sample(run: _Run, model_input: PreprocessedCase, cache: InferenceCache) -> Uncertainty:
    """Return the uncertainty from samples of kappa, or that of the previous run if unchanged."""
    previous, count, seed = run.previous, run.settings.kappa_samples, run.settings.seed
    if previous is not None and previous.plan == run.plan and previous.uncertainty is not None:
        known = previous.uncertainty
        if (known.samples, known.seed) == (count, seed):
            return known

    def attempt(runtime: Runtime) -> SampleStatistics:
        own = cache if runtime is cache.runtime else InferenceCache(runtime)
        return sample(run.context(own), model_input, count, seed)

    shape = model_input.foreground.shape
    statistics, _ = run_with_oom_fallback(
        attempt, cache.runtime, shape, run.checkpoint.info, run.monitor
    )
    return to_case_uncertainty(statistics, run.plan, model_input, run.case, seed)


def _ensemble(run: _Run, model_input: PreprocessedCase, pairs: _Pairs) -> EnsembledSegmentation:
    """Average pairs by region, resample to the case grid and make the label map."""
    plan, postprocessing = run.plan, run.checkpoint.info.postprocessing
    regions = unchanged_probabilities(run.previous, pairs, plan, model_input)
    changed = {name: p for name, p in ensemble(pairs, plan).items() if name not in regions}
    regions |= resample_to_case(changed, model_input, run.case, postprocessing, run.monitor)
    ordered = {name: regions[name] for name in plan.decomposition.region_names}
    return assemble(ordered, plan, run.case, postprocessing, run.settings)

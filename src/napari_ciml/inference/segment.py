"""Segmentation of a case: the one call that the widgets and the command line share."""

import time
from collections.abc import Collection, Iterator
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
from napari_ciml.inference.device import choose_device, choose_engine
from napari_ciml.inference.ensemble import assemble, ensemble, resample_to_case
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.inference.plan import InferencePlan, make_plan
from napari_ciml.inference.result import Segmentation, Uncertainty
from napari_ciml.inference.reuse import is_reusable, unchanged_probabilities
from napari_ciml.inference.runtime import Runtime, run_with_oom_fallback
from napari_ciml.inference.sampling import Sampled, require_variational, sample, to_case_uncertainty
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.sliding_window import compile_parts, predict_pairs
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


def require_same_checkpoint(checkpoint: Checkpoint, segmentation: Segmentation, case: Case) -> None:
    """Refuse to go on from a segmentation that another checkpoint made.

    Raises
    ------
    CheckpointError
        If so.
    """
    if checkpoint.sha256 != segmentation.checkpoint:
        raise CheckpointError(
            f"{case.name} was segmented with another checkpoint; segment it again with this one."
        )


@dataclass
class _Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self.seconds[name] = round(spent, 3)


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
        With every modality the decomposition uses.
    checkpoint : Checkpoint
        The network.
    decomposition : Decomposition, optional
        What is asked for; the checkpoint's own by default.
    settings : SegmentSettings, optional
        Device, muting, thresholds, weights.
    monitor : Monitor, optional
        Hears progress and fall-backs, can cancel within one tile.
    previous : Segmentation, optional
        Of the same case: what holds of it is not computed again. The answer is the one without.
        After muting, only the muted segmentor runs; after another threshold or weight, none.

    Raises
    ------
    InputError
        If a modality is missing.
    CheckpointError, DecompositionError
        If the checkpoint cannot serve the decomposition.
    DeviceError
        If the device is not there or memory is too small.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    settings, clock = _settled(settings or SegmentSettings(), checkpoint), _Clock()
    monitor = monitor or ProgressMonitor()
    notices: list[str] = []

    def tell(sentence: str) -> None:
        notices.append(sentence)
        monitor.notify(sentence)

    aloud = replace(monitor, notify=tell)
    plan = make_plan(
        checkpoint.info,
        decomposition or checkpoint.info.decomposition,
        settings.muted,
        settings.weights,
    )
    if settings.kappa_samples:
        require_variational(checkpoint.info)
    device = choose_device(settings.device)
    engine = choose_engine(settings.engine, device)
    _refuse_missing(case, plan)
    if previous is not None and not is_reusable(previous, case, checkpoint, settings):
        previous = None
    ahead = BackgroundCompiler(checkpoint, plan, device, engine, settings.overlap, monitor)
    with clock.stage("prepare"):
        seen = _model_input(case, checkpoint, plan, aloud, previous, ahead)
        if previous is not None and seen.grid != previous.model_input.grid:
            previous = None
    pairs, kept = _predict(checkpoint, seen, plan, ahead, aloud, previous, clock, settings)
    uncertainty = None
    if settings.kappa_samples:
        with clock.stage("samples"):
            uncertainty = _uncertainty(
                checkpoint, case, seen, plan, settings, kept, aloud, previous
            )
    with clock.stage("assemble"):
        finish = checkpoint.info.postprocessing
        known = unchanged_probabilities(previous, pairs, plan, seen)
        rest = {name: p for name, p in ensemble(pairs, plan).items() if name not in known}
        known |= resample_to_case(rest, seen, case, finish, aloud)
        probabilities = {name: known[name] for name in plan.decomposition.region_names}
        made = assemble(probabilities, plan, case, finish, settings)
    return Segmentation(
        label_map=made.label_map,
        probabilities=made.probabilities,
        volumes_ml=made.volumes_ml,
        plan=plan,
        checkpoint=checkpoint.sha256,
        model_input=seen,
        pair_probabilities=pairs,
        settings=settings,
        cache=kept,
        case=ref(case),
        engine=kept.workspace.engine,
        device=kept.workspace.device.type,
        seconds=clock.seconds,
        peak_memory_mib=peak_memory_mib(),
        notices=tuple(notices),
        uncertainty=uncertainty,
        missing=tuple(
            m for m in checkpoint.info.decomposition.input_modalities if m not in case.images
        ),
    )


def _settled(settings: SegmentSettings, checkpoint: Checkpoint) -> SegmentSettings:
    """Return the settings with what was left to the checkpoint."""
    if settings.multiscale is not None:
        return settings
    return replace(settings, multiscale=checkpoint.info.postprocessing.multiscale)


def _model_input(
    case: Case,
    checkpoint: Checkpoint,
    plan: InferencePlan,
    monitor: ProgressMonitor,
    previous: Segmentation | None,
    ahead: BackgroundCompiler,
) -> PreprocessedCase:
    if previous is not None and previous.plan.modalities == plan.modalities:
        return previous.model_input
    info = checkpoint.info
    located = ahead.begin if previous is None else None
    return preprocess(case, plan.modalities, info.spacing, info.normalisation, monitor, located)


def _predict(
    checkpoint: Checkpoint,
    seen: PreprocessedCase,
    plan: InferencePlan,
    ahead: BackgroundCompiler,
    monitor: ProgressMonitor,
    previous: Segmentation | None,
    clock: _Clock,
    settings: SegmentSettings,
) -> tuple[dict[Pair, np.ndarray], InferenceCache]:
    """Run the network where nothing is kept, and say what is kept now."""

    def run(where: Runtime) -> tuple[dict[Pair, np.ndarray], InferenceCache]:
        kept = InferenceCache(where)
        if previous is not None and previous.cache.workspace is where:
            kept = previous.cache
        if settings.multiscale:
            kept.coarser(shape)
        if where.engine == "openvino":
            with clock.stage("compile"):
                ahead.wait()
                compile_parts(checkpoint, plan, where, kept, monitor)
        with clock.stage("network"):
            found = predict_pairs(
                checkpoint,
                seen.images,
                plan,
                where,
                monitor,
                kept,
                mirror=settings.test_time_flips,
                coarser=bool(settings.multiscale),
            )
        return found, kept

    shape = seen.foreground.shape
    first = previous.cache.workspace if previous is not None else ahead.workspace(shape)
    found, _ = run_with_oom_fallback(run, first, shape, checkpoint.info, monitor)
    return found


def _uncertainty(
    checkpoint: Checkpoint,
    case: Case,
    seen: PreprocessedCase,
    plan: InferencePlan,
    settings: SegmentSettings,
    kept: InferenceCache,
    monitor: ProgressMonitor,
    previous: Segmentation | None,
) -> Uncertainty:
    known = previous.uncertainty if previous is not None and previous.plan == plan else None
    if known is not None and (known.samples, known.seed) == (settings.kappa_samples, settings.seed):
        return known

    def run(where: Runtime) -> Sampled:
        here = kept if where is kept.workspace else InferenceCache(where)
        return sample(checkpoint, seen, plan, here, monitor, settings.kappa_samples, settings.seed)

    shape = seen.foreground.shape
    sums, _ = run_with_oom_fallback(run, kept.workspace, shape, checkpoint.info, monitor)
    return to_case_uncertainty(sums, plan, seen, case, settings.seed)


def _refuse_missing(case: Case, plan: InferencePlan) -> None:
    missing: Collection[str] = [m for m in plan.modalities if m not in case.images]
    if missing:
        raise InputError(
            f"{case.name}: {', '.join(missing)} is missing (found: {', '.join(case.images)}); "
            f"add it, name it with --modality, or choose a decomposition without it."
        )

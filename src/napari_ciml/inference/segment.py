"""Segmentation of a case: the one call that the widgets and the command line share."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import label_map, region_masks
from napari_ciml.cases.model_space import ModelInput, to_case_grid, to_model_space
from napari_ciml.decomposition import Decomposition, Message, Pair
from napari_ciml.errors import InputError
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.engine import predict_pairs, with_fallback
from napari_ciml.inference.finish import calibrated, cleaned
from napari_ciml.inference.memory import peak_memory_mib
from napari_ciml.inference.plan import Plan, make_plan
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint

THRESHOLD = 0.5


@dataclass(frozen=True)
class SegmentSettings:
    """How to segment.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    muted : frozenset of Message
        Messages that are not passed.
    clean : bool
        Remove specks and fill holes as the checkpoint says; probabilities keep them.
    """

    device: str = "auto"
    muted: frozenset[Message] = frozenset()
    clean: bool = True


@dataclass(frozen=True)
class Segmentation:
    """A segmented case, on the case grid where nothing else is said.

    Parameters
    ----------
    label_map : numpy.ndarray
        Label values of the decomposition's regions, (Z, Y, X) unsigned integers.
    probabilities : dict of str to numpy.ndarray
        By region, (Z, Y, X) float32: the mean over the pairs that predict it, calibrated.
    volumes_ml : dict of str to float
        By region, in millilitres.
    plan : Plan
        What was computed.
    checkpoint : str
        SHA-256 of the checkpoint.
    model_input : ModelInput
        What the network saw.
    pairs : dict of Pair to numpy.ndarray
        Each pair's probability on the grid of ``model_input``, (z, y, x) float32.
    cleaned : bool
        Whether specks and holes were looked for.
    engine, device : str
        What ran it, at the end if it fell back.
    seconds : dict of str to float
        By stage.
    peak_memory_mib : float
        The process's largest resident memory so far.
    notices : tuple of str
        What the user must know of how it went.
    """

    label_map: np.ndarray
    probabilities: dict[str, np.ndarray]
    volumes_ml: dict[str, float]
    plan: Plan
    checkpoint: str
    model_input: ModelInput
    pairs: dict[Pair, np.ndarray]
    cleaned: bool
    engine: str
    device: str
    seconds: dict[str, float]
    peak_memory_mib: float
    notices: tuple[str, ...] = ()


@dataclass
class _Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def segment(
    case: Case,
    checkpoint: Checkpoint,
    decomposition: Decomposition | None = None,
    settings: SegmentSettings | None = None,
    monitor: Monitor | None = None,
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
        Device, muting.
    monitor : Monitor, optional
        Hears progress and fall-backs, can cancel within one tile.

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
    settings, clock = settings or SegmentSettings(), _Clock()
    monitor = monitor or Monitor()
    notices: list[str] = []

    def tell(sentence: str) -> None:
        notices.append(sentence)
        monitor.tell(sentence)

    aloud = replace(monitor, tell=tell)
    wanted = decomposition or checkpoint.info.decomposition
    plan = make_plan(checkpoint.info, wanted, settings.muted)
    device = choose_device(settings.device)
    _refuse_missing(case, plan)
    with clock.stage("prepare"):
        seen = to_model_space(
            case, plan.modalities, checkpoint.info.spacing, checkpoint.info.normalisation, aloud
        )
    with clock.stage("network"):
        pairs, workspace = with_fallback(
            lambda where: predict_pairs(checkpoint, seen.images, plan, where, aloud),
            seen.foreground.shape,
            checkpoint,
            device,
            aloud,
        )
    with clock.stage("assemble"):
        finish = checkpoint.info.finish
        placed = _on_case_grid(ensemble(pairs, plan), seen, case, aloud)
        # On the case grid, so that no mask moves: between voxels, sigmoids of logits do not mix.
        probabilities = calibrated(placed, finish.temperatures)
        masks = {name: values >= THRESHOLD for name, values in probabilities.items()}
        if settings.clean:
            masks = cleaned(masks, finish, case.grid.voxel_ml)
        labels = label_map(masks, wanted.regions)
        final = region_masks(labels, wanted.regions)
    volumes = {name: float(mask.sum() * case.grid.voxel_ml) for name, mask in final.items()}
    return Segmentation(
        label_map=labels,
        probabilities=probabilities,
        volumes_ml=volumes,
        plan=plan,
        checkpoint=checkpoint.sha256,
        model_input=seen,
        pairs=pairs,
        cleaned=settings.clean,
        engine="torch",
        device=workspace.device.type,
        seconds=clock.seconds,
        peak_memory_mib=peak_memory_mib(),
        notices=tuple(notices),
    )


def ensemble(pairs: Mapping[Pair, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Average a region's probability over the pairs that predict it (section 4.1.1)."""
    return {
        name: np.mean([values for pair, values in pairs.items() if pair.region == name], axis=0)
        for name in plan.decomposition.region_names
    }


def _on_case_grid(
    probabilities: Mapping[str, np.ndarray], seen: ModelInput, case: Case, monitor: Monitor
) -> dict[str, np.ndarray]:
    result = {}
    for done, (name, values) in enumerate(probabilities.items()):
        monitor.step(f"Placing {name} on the case", done, len(probabilities))
        inside = np.where(seen.foreground, values, np.float32(0))
        result[name] = to_case_grid(inside, seen.grid, case)
    return result


def _refuse_missing(case: Case, plan: Plan) -> None:
    missing: Collection[str] = [m for m in plan.modalities if m not in case.images]
    if missing:
        raise InputError(
            f"{case.name}: {', '.join(missing)} is missing (found: {', '.join(case.images)}); "
            f"add it, name it with --modality, or choose a decomposition without it."
        )

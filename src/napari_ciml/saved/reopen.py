"""Opening a saved review session."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.model_space import to_model_space
from napari_ciml.decomposition import Message, Pair
from napari_ciml.errors import InputError
from napari_ciml.explanation.explain import Explanation
from napari_ciml.explanation.gradcam import Triple
from napari_ciml.inference.plan import Plan
from napari_ciml.inference.segment import Segmentation
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint_info import file_hash
from napari_ciml.saved.models import FILE, SavedExplanation, SavedRun, SavedSession, SavedVolume
from napari_ciml.saved.sources import find_sources, scan_again
from napari_ciml.saved.state import Painted, Run, State
from napari_ciml.saved.volumes import read_back

_HELD = 4
"""How many maps are held in memory at once."""


def is_session(path: Path) -> bool:
    """Whether a folder holds a saved session."""
    return (path / FILE).is_file()


def read_session(folder: Path) -> SavedSession:
    """Read what a saved session says, without its volumes.

    Raises
    ------
    InputError
        If it is none, damaged, or of a newer version.
    """
    path = folder / FILE
    try:
        return SavedSession.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: there is no session to be read; choose another one.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path}: {place}: {first['msg']}; it is damaged, or a newer version's."
        ) from error


def open_session(folder: Path, monitor: Monitor) -> State:
    """Open a saved session, as it was.

    Parameters
    ----------
    folder : pathlib.Path
        Where it was saved.
    monitor : Monitor
        Told at each step; hears if the checkpoint is gone or another one by now.

    Raises
    ------
    InputError
        If an image or a volume is missing, damaged or changed.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    saved = read_session(folder)
    sources = find_sources(folder, saved, monitor)
    case = load_case(sources, name=saved.name, reference=saved.reference, monitor=monitor)
    found, modalities = scan_again(saved, sources)
    return State(
        scan=found,
        modalities=tuple(modalities),
        case=case,
        decomposition=saved.decomposition,
        checkpoint=_checkpoint(saved, monitor),
        device=saved.device,
        clean=saved.clean,
        runs=[_run(folder, run, case, monitor) for run in saved.runs],
        current=saved.current,
        corrections=[
            Painted(one.name, read_back(folder, one.volume), one.current)
            for one in saved.corrections
        ],
        marks=saved.marks,
        looks=saved.looks,
        view=saved.view,
    )


def _checkpoint(saved: SavedSession, monitor: Monitor) -> Path | None:
    """Return the checkpoint, if it is still there; that it is not keeps nobody from looking."""
    if saved.checkpoint is None:
        return None
    path = Path(saved.checkpoint)
    if not path.is_file():
        monitor.tell(f"{path}: the checkpoint of this session is missing; choose another one.")
        return None
    if file_hash(path) != saved.checkpoint_sha256:
        monitor.tell(f"{path}: the checkpoint has changed since the session was saved.")
    return path


def _run(folder: Path, run: SavedRun, case: Case, monitor: Monitor) -> Run:
    monitor.step(f"Opening '{run.name}'")
    pairs = {Pair(one.primary, one.region): read_back(folder, one.volume) for one in run.pairs}
    plan = Plan(run.decomposition, tuple(pairs), frozenset(Message(*m) for m in run.muted))
    segmentation = Segmentation(
        label_map=read_back(folder, run.labels),
        probabilities={n: read_back(folder, one) for n, one in run.probabilities.items()},
        volumes_ml=run.volumes_ml,
        plan=plan,
        checkpoint=run.checkpoint,
        model_input=to_model_space(case, plan.modalities, run.spacing, run.normalisation, monitor),
        pairs=pairs,
        cleaned=run.cleaned,
        engine=run.engine,
        device=run.device,
        seconds=run.seconds,
        peak_memory_mib=run.peak_memory_mib,
        notices=run.notices,
    )
    explanation = _explanation(folder, run.explanation)
    return Run(run.name, segmentation, explanation, run.spacing, run.normalisation)


def _explanation(folder: Path, saved: SavedExplanation | None) -> Explanation | None:
    if saved is None:
        return None
    weights = {
        (Pair(one.primary, one.region), one.auxiliary): (
            float("nan") if one.weight is None else one.weight
        )
        for one in saved.maps
    }
    volumes = dict(zip(weights, (one.volume for one in saved.maps), strict=True))
    return Explanation(SavedMaps(folder, volumes), weights, saved.largest, saved.notices)


class SavedMaps(Mapping[Triple, np.ndarray]):
    """Maps that are read from their files when somebody looks at them.

    Parameters
    ----------
    folder : pathlib.Path
        Of the session.
    volumes : mapping of (Pair, str) to SavedVolume
        Their files.
    """

    def __init__(self, folder: Path, volumes: Mapping[Triple, SavedVolume]) -> None:
        self._folder, self._volumes = folder, volumes
        self._held: OrderedDict[Triple, np.ndarray] = OrderedDict()

    def __getitem__(self, triple: Triple) -> np.ndarray:
        held = self._held.pop(triple, None)
        if held is None:
            held = read_back(self._folder, self._volumes[triple])
        self._held[triple] = held
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return held

    def __iter__(self) -> Iterator[Triple]:
        return iter(self._volumes)

    def __len__(self) -> int:
        return len(self._volumes)

"""What messages buy: CIML and early fusion learn from the same phantoms, at equal parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from napari_ciml.cases.datasets import find_cases
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.files import ensure_writable_folder, write_json, write_table
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.studies.baselines import Baseline, early_fusion
from napari_ciml.research.studies.catalogue import Variant
from napari_ciml.research.studies.data import real_cases
from napari_ciml.research.studies.runs import WEIGHTS, Run, Score, perform, score
from napari_ciml.training.cohort import TrainingCase, load_cohort
from napari_ciml.training.loop import build_ciml
from napari_ciml.training.settings import Hardware, TrainSettings, paper_settings

TABLE = "peers.csv"
_WIDTHS = {"DynUNet": range(4, 64), "SegResNet": range(8, 64, 8)}
"""Base filters that a network of the library can have; SegResNet's norm wants groups of eight."""


def measure_peers(
    data: Path,
    judged: Path | None,
    output: Path,
    monitor: ProgressMonitor,
    *,
    preset: str,
    epochs: int,
    device: str = "auto",
) -> Path:
    """Train the three networks, or go on with it, and score them.

    Parameters
    ----------
    data : pathlib.Path
        A data set; a fifth of it is only tested on.
    judged : pathlib.Path, optional
        Another one, of which all cases are tested on.
    output : pathlib.Path
        As `reproduce`.
    monitor : Monitor
        Cancelling keeps every epoch done.
    preset : str
        The decomposition.
    epochs : int
        Of 100 steps.
    device : str
        As `Hardware`.

    Returns
    -------
    pathlib.Path
        A table with Dice and HD95 of every network, case and region.
    """
    settings = _settings(preset, epochs)
    split = real_cases(data, settings, output / "cache", monitor)
    others = _others(judged, settings, output, monitor)
    hardware = Hardware(device=device, workers=0)
    root, folder = ensure_writable_folder(output / "runs"), ensure_writable_folder(output / TABLES)
    rows: list[dict[str, object]] = []
    about = {}
    for variant in _variants(settings):
        run = Run(variant, 0, root, split.name)
        perform(run, split, hardware, monitor)
        seen = score(_trained(run), others, run.settings, hardware, monitor)
        rows += _rows(variant.name, "test", run.scores()) + _rows(variant.name, "judged", seen)
        about[variant.name] = {
            **asdict(run.cost()),
            "settings": variant.settings.model_dump(mode="json"),
        }
        write_json(folder / "peers.json", about)
        write_table(folder / TABLE, rows)
    return folder / TABLE


def width_for(name: str, settings: TrainSettings, parameters: int) -> int:
    """Return the least base filters with which a network has at least so many parameters."""
    for width in _WIDTHS[name]:
        sized = settings.model_copy(update={"network": NetworkSettings(base_filters=width)})
        if _count(Baseline(name)(sized)) >= parameters:
            return width
    raise ValueError(f"{name} has no width with {parameters} parameters")


def _settings(preset: str, epochs: int) -> TrainSettings:
    """Return those of the glioma checkpoint that ships, for a short run from random weights."""
    return paper_settings(PRESETS[preset]).model_copy(
        update={
            "network": NetworkSettings(base_filters=8, norm="instance"),
            "spacing": (2.0, 2.0, 2.0),
            "epochs": epochs,
            "learning_rate": 2e-3,
            "ema_decay": 0.99,
        }
    )


def _variants(settings: TrainSettings) -> Iterator[Variant]:
    yield Variant("CIML", settings)
    parameters = _count(build_ciml(settings))
    together = settings.model_copy(update={"decomposition": early_fusion(settings.decomposition)})
    for name in _WIDTHS:
        network = NetworkSettings(base_filters=width_for(name, together, parameters))
        yield Variant(name, together.model_copy(update={"network": network}), name)


def _others(
    judged: Path | None, settings: TrainSettings, output: Path, monitor: ProgressMonitor
) -> Sequence[TrainingCase]:
    if judged is None:
        return ()
    return load_cohort(find_cases(judged), settings, output / "cache", monitor)


def _trained(run: Run) -> nn.Module:
    baseline = run.variant.baseline
    network = (Baseline(baseline) if baseline else build_ciml)(run.settings)
    network.load_state_dict(load_file(run.folder / WEIGHTS))
    return network


def _rows(name: str, group: str, scores: Sequence[Score]) -> list[dict[str, object]]:
    return [{"variant": name, "group": group, **asdict(one)} for one in scores]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

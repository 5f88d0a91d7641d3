"""Study ``early-fusion``: CIML and early fusion at equal data, steps and parameters (Table 2).

Table 2 of the paper compares CIML with networks that see all modalities at once; here the networks
are trained from random weights on the same cases, and the others have at least as many parameters.
"""

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

TABLE = "early-fusion.csv"
TEST, EXTERNAL = "test", "external"
"""Groups of test cases: of the data set itself, and of the other one."""

_WIDTHS = {"DynUNet": range(4, 64), "SegResNet": range(8, 64, 8)}
"""Possible base filters; the group norm of SegResNet needs multiples of eight."""


def measure_early_fusion(
    data: Path,
    external: Path | None,
    output: Path,
    monitor: ProgressMonitor,
    *,
    preset: str,
    epochs: int,
    device: str = "auto",
) -> Path:
    """Train or resume the three networks, and score them.

    Parameters
    ----------
    data : pathlib.Path
        Data set, a fifth of which is held out for testing.
    external : pathlib.Path, optional
        Another data set, all of which is used for testing.
    output : pathlib.Path
        Output folder, as in `reproduce`.
    monitor : ProgressMonitor
        Receives every step; cancelling keeps every finished epoch.
    preset : str
        Name of the decomposition.
    epochs : int
        Number of epochs of 100 steps.
    device : str
        Device, as in `Hardware`.

    Returns
    -------
    pathlib.Path
        Table with Dice and HD95 of every network, case and region.
    """
    settings = _settings(preset, epochs)
    split = real_cases(data, settings, output / "cache", monitor)
    external_cases = _external_cases(external, settings, output, monitor)
    hardware = Hardware(device=device, workers=0)
    root, folder = ensure_writable_folder(output / "runs"), ensure_writable_folder(output / TABLES)
    rows: list[dict[str, object]] = []
    about = {}
    for variant in _variants(settings):
        run = Run(variant, 0, root, split.name)
        perform(run, split, hardware, monitor)
        scores = score(_trained(run), external_cases, run.settings, hardware, monitor)
        rows += _rows(variant.name, TEST, run.scores()) + _rows(variant.name, EXTERNAL, scores)
        about[variant.name] = {
            **asdict(run.cost()),
            "settings": variant.settings.model_dump(mode="json"),
        }
        write_json((folder / TABLE).with_suffix(".json"), about)
        write_table(folder / TABLE, rows)
    return folder / TABLE


def width_for(name: str, settings: TrainSettings, parameters: int) -> int:
    """Return the fewest base filters that give a baseline at least so many parameters."""
    for width in _WIDTHS[name]:
        sized = settings.model_copy(update={"network": NetworkSettings(base_filters=width)})
        if _count(Baseline(name)(sized)) >= parameters:
            return width
    raise ValueError(f"{name} has no width with {parameters} parameters")


def _settings(preset: str, epochs: int) -> TrainSettings:
    """Return the settings of the bundled glioma checkpoint, for a short run."""
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
    fused = settings.model_copy(update={"decomposition": early_fusion(settings.decomposition)})
    for name in _WIDTHS:
        network = NetworkSettings(base_filters=width_for(name, fused, parameters))
        yield Variant(name, fused.model_copy(update={"network": network}), name)


def _external_cases(
    folder: Path | None, settings: TrainSettings, output: Path, monitor: ProgressMonitor
) -> Sequence[TrainingCase]:
    if folder is None:
        return ()
    return load_cohort(find_cases(folder), settings, output / "cache", monitor)


def _trained(run: Run) -> nn.Module:
    baseline = run.variant.baseline
    network = (Baseline(baseline) if baseline else build_ciml)(run.settings)
    network.load_state_dict(load_file(run.folder / WEIGHTS))
    return network


def _rows(name: str, group: str, scores: Sequence[Score]) -> list[dict[str, object]]:
    return [{"variant": name, "group": group, **asdict(one)} for one in scores]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

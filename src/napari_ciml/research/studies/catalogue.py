"""Variants of each study: the rows of Tables 2 to 6, the points of Fig. 10 and 11."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from napari_ciml.decomposition.presets import DEFAULT, PRESETS
from napari_ciml.errors import InputError
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.research.studies.synthetic_volumes import SPACING_MM
from napari_ciml.training.settings import TrainSettings, paper_settings

BudgetName = Literal["small", "paper"]
BETAS = (0.001, 0.01, 0.1, 0.5, 1.0, 10.0)

_SWITCHES = {
    "Baseline": {"message": False, "attention": False, "variational": False},
    "+ Message": {"message": True, "attention": False, "variational": False},
    "+ Message + Attention": {"message": True, "attention": True, "variational": False},
    "+ Message + VI": {"message": True, "attention": False, "variational": True},
    "+ Message + Attention + VI": {"message": True, "attention": True, "variational": True},
}
"""The rows of Table 5."""

# Baselines get at least as many FLOPs as CIML.
_WIDTHS = {
    "small": {"DynUNet": 16, "AttentionUnet": 16, "UNETR": 12, "SegResNet": 16},
    "paper": {"DynUNet": 32, "AttentionUnet": 64, "UNETR": 16, "SegResNet": 32},
}
_FILTERS = {"small": (4, 8, 16), "paper": (4, 8, 16, 24, 32)}


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Parameters
    ----------
    name : str
        Name in the paper.
    settings : TrainSettings
        Settings of the run; its seed is replaced.
    baseline : str or None
        Network of `BASELINES` that is trained instead of CIML.
    """

    name: str
    settings: TrainSettings
    baseline: str | None = None


@dataclass(frozen=True)
class Study:
    """Variants to compare.

    Parameters
    ----------
    name, title, source : str
        Name on the command line, title in the report, and table or figure of the paper.
    variants : tuple of Variant
        Variants in the paper's order.
    reference : str
        Name of the variant that the others are compared with.
    """

    name: str
    title: str
    source: str
    variants: tuple[Variant, ...]
    reference: str


def base_settings(budget: BudgetName, preset: str = DEFAULT) -> TrainSettings:
    """Return the common settings of all runs of a budget; ``paper`` is section 4.2."""
    shared = paper_settings(PRESETS[preset])
    if budget == "paper":
        return shared
    return shared.model_copy(
        update={
            "network": NetworkSettings(base_filters=8),
            "spacing": (SPACING_MM,) * 3,
            "patch": (32, 32, 32),
            "epochs": 16,
            "iterations": 50,
            "learning_rate": 4e-3,
            "foreground_fraction": 0.67,
        }
    )


def study(name: str, budget: BudgetName, preset: str = DEFAULT) -> Study:
    """Return a study by name; Tables 3 and 4 are ``baselines`` with another preset.

    Raises
    ------
    InputError
        If there is none of that name, or it is not available for the preset.
    """
    if preset not in PRESETS:
        raise InputError(f"There is no preset '{preset}'; known are {', '.join(PRESETS)}.")
    if preset != DEFAULT and (budget == "small" or name == "decompositions"):
        raise InputError(f"The study '{name}' with budget {budget} is for {DEFAULT} only.")
    if name not in _STUDIES:
        raise InputError(f"There is no study '{name}'; known are {', '.join(_STUDIES)}.")
    title, source, reference, make = _STUDIES[name]
    return Study(name, title, source, tuple(make(base_settings(budget, preset), budget)), reference)


def _ablation(base: TrainSettings, _: BudgetName) -> Iterator[Variant]:
    for name, switches in _SWITCHES.items():
        yield Variant(name, _with_network(base, **switches))


def _decompositions(base: TrainSettings, _: BudgetName) -> Iterator[Variant]:
    for row in range(1, 6):
        # The last row is the default decomposition, under another name.
        decomposition = PRESETS[DEFAULT if row == 5 else f"table6-{row}"]
        yield Variant(f"row {row}", base.model_copy(update={"decomposition": decomposition}))


def _beta(base: TrainSettings, _: BudgetName) -> Iterator[Variant]:
    for beta in BETAS:
        yield Variant(f"beta {beta:g}", base.model_copy(update={"beta": beta}))


def _filters(base: TrainSettings, budget: BudgetName) -> Iterator[Variant]:
    for count in _FILTERS[budget]:
        yield Variant(f"C = {count}", _with_network(base, base_filters=count))


def _baselines(base: TrainSettings, budget: BudgetName) -> Iterator[Variant]:
    # Imported here, because the catalogue itself does not need torch.
    from napari_ciml.research.studies.baselines import early_fusion

    fused = base.model_copy(update={"decomposition": early_fusion(base.decomposition)})
    for name, width in _WIDTHS[budget].items():
        yield Variant(name, _with_network(fused, base_filters=width), name)
    yield Variant("CIML", base)


def _with_network(base: TrainSettings, **changes: object) -> TrainSettings:
    return base.model_copy(update={"network": base.network.model_copy(update=changes)})


_STUDIES = {
    "ablation": (
        "Message, attention, variational information",
        "Table 5",
        "+ Message + Attention + VI",
        _ablation,
    ),
    "decompositions": ("Decompositions", "Table 6", "row 5", _decompositions),
    "beta": ("Weight of the KL term", "Fig. 11", "beta 0.5", _beta),
    "filters": ("Number of base filters", "Fig. 10", "C = 8", _filters),
    "baselines": (
        "Comparison with early fusion",
        "Table 2",
        "CIML",
        _baselines,
    ),
}
STUDIES = tuple(_STUDIES)

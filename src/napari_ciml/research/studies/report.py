"""`reproduce report`: one page with the results of all studies, made from their tables."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from napari_ciml.errors import InputError
from napari_ciml.files import write_text
from napari_ciml.research import TABLES
from napari_ciml.research.phantoms.protocols import PROTOCOLS
from napari_ciml.research.shapes.study import FIGURE as SHAPES_FIGURE
from napari_ciml.research.shapes.study import TABLE as SHAPES_TABLE
from napari_ciml.research.studies.alignment import ALIGNMENT
from napari_ciml.research.studies.catalogue import STUDIES, study
from napari_ciml.research.studies.data import SYNTHETIC
from napari_ciml.research.studies.early_fusion import TABLE as EARLY_FUSION_TABLE
from napari_ciml.research.studies.early_fusion import TEST
from napari_ciml.research.studies.faithfulness import MUTING, RANDOMISED
from napari_ciml.research.studies.figures import draw_muting, draw_variants
from napari_ciml.research.studies.finetuning import FINETUNING
from napari_ciml.research.studies.finetuning_table import finetuning_rows, protocol_rows
from napari_ciml.research.studies.native_alignment import NATIVE
from napari_ciml.research.studies.statistics import (
    MEAN,
    Difference,
    difference,
    estimate,
    rank_correlation,
    with_mean,
)

PAGE = "results.md"
FAITHFULNESS = "faithfulness.md"

_HEAD = """# Results of the studies

Written by `napari-ciml reproduce report` from the tables in `studies`; the JSON file beside each
table has the settings to repeat it with. Dice is the mean over test cases, then over seeds, with
the standard deviation over seeds. Differences are paired by case, with a 95 % confidence interval.
"""


def write_report(output: Path) -> Path:
    """Write the page and its figures from the tables in ``output``.

    The text of ``studies/<name>.md``, a discussion, is inserted below the table of the study.

    Raises
    ------
    InputError
        If there is no table.
    """
    folder = output / TABLES
    sections = [text for text in _sections(folder) if text]
    if not sections:
        raise InputError(f"{folder}: holds no table; run a study first.")
    if (folder / MUTING).is_file():
        write_text(output / FAITHFULNESS, _faithfulness(folder).removeprefix("#"))
    return write_text(output / PAGE, "\n".join([_HEAD, *sections]))


def _sections(folder: Path) -> Iterator[str]:
    yield _shapes(folder)
    for name in STUDIES:
        yield _study(folder, name)
    yield _early_fusion(folder)
    if (folder / MUTING).is_file():
        yield _section(
            "Faithfulness of the maps",
            f"Whether maps and weights predict the effect of muting a message: "
            f"[{FAITHFULNESS}]({FAITHFULNESS}).",
        )
    for cases, name in FINETUNING.items():
        yield _finetuning(folder / name, cases)
    yield _alignment(folder)


def _study(folder: Path, name: str) -> str:
    path = folder / f"{name}.csv"
    if not path.is_file():
        return ""
    table = with_mean(pd.read_csv(path))
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    variants, reference = list(about["variants"]), about["reference"]
    regions = list(dict.fromkeys(table.region))
    draw_variants(table, variants, folder / f"{name}.png")
    head = ["variant", *(f"Dice {region}" for region in regions), "HD95 mm", "difference in MEAN"]
    rows = [[*head, "parameters", "GFLOP per patch"]]
    for variant in variants:
        cost = about["variants"][variant]
        rows.append(
            [
                f"**{variant}**" if variant == reference else variant,
                *(_plus_minus(table, variant, region) for region in regions),
                f"{estimate(table, variant, MEAN, 'hd95_mm').mean:.1f}",
                "" if variant == reference else _interval(difference(table, variant, reference)),
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['gflops']:.2f}",
            ]
        )
    seeds, cases = table.seed.nunique(), table.case.nunique()
    known = study(name, "small")
    return _section(
        f"{known.title} ({known.source})",
        f"{cases} test cases, {seeds} seeds; data: {_data(about['data'])}. Reference: {reference}.",
        _markdown(rows),
        f"![Dice by variant]({TABLES}/{name}.png)",
        _note(folder, name),
    )


def _shapes(folder: Path) -> str:
    if not (folder / SHAPES_TABLE).is_file():
        return ""
    table = pd.read_csv(folder / SHAPES_TABLE)
    parts = ["auxiliary only", "overlap", "primary only", "background"]
    rows = [["primary", "beta", "seeds", "Dice", "nats per set", *parts]]
    for (primary, beta), group in table.groupby(["primary", "beta"]):
        fractions = [f"{group[part].mean():.3f} ± {group[part].std():.3f}" for part in parts]
        dice = f"{group.dice.mean():.4f} ± {group.dice.std():.4f}"
        nats = f"{group.nats.mean():.0f}"
        rows.append([str(primary), f"{beta:g}", str(len(group)), dice, nats, *fractions])
    return _section(
        "ShapeComposition (section 4.3, Fig. 9)",
        "Where the nats of the complementary information lie, as fractions of their sum.",
        _markdown(rows),
        f"![Fig. 9 redrawn]({TABLES}/{SHAPES_FIGURE})",
        _note(folder, "shapes"),
    )


def _early_fusion(folder: Path) -> str:
    path = folder / EARLY_FUSION_TABLE
    if not path.is_file():
        return ""
    table = pd.read_csv(path)
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    regions = list(dict.fromkeys(table.region))
    rows = [
        ["tested on", "variant", *(f"Dice {r}" for r in regions), "parameters", "GFLOP per patch"]
    ]
    for (group, variant), scores in table.groupby(["group", "variant"], sort=False):
        dices = scores.groupby("region").dice.agg(["mean", "std"])
        cases, cost = scores.case.nunique(), about[variant]
        rows.append(
            [
                f"{cases} {'of the data set' if group == TEST else 'external'}",
                str(variant),
                *(f"{dices['mean'][r]:.3f} ± {dices['std'][r]:.3f}" for r in regions),
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['gflops']:.2f}",
            ]
        )
    settings = about["CIML"]["settings"]
    return _section(
        "CIML and early fusion at equal data, steps and parameters",
        f"`{settings['decomposition']['name']}`, {settings['epochs'] * settings['iterations']} "
        "steps from random weights; standard deviation over cases.",
        _markdown(rows),
        _note(folder, path.stem),
    )


def _faithfulness(folder: Path) -> str:
    table = pd.read_csv(folder / MUTING)
    draw_muting(table, folder / "muting.png")
    rows = [["attributed by", "loss when muted", "Spearman's rho", "mean within a pair"]]
    for attribution in ("weight", "information"):
        for loss in ("logit_drop", "dice_drop"):
            by_pair = table.groupby(["primary", "region"])[["case", attribution, loss]]
            within = [rank_correlation(group, attribution, loss).mean for _, group in by_pair]
            rows.append(
                [
                    attribution,
                    loss.replace("_", " "),
                    _interval(rank_correlation(table, attribution, loss)),
                    f"{sum(within) / len(within):+.2f}",
                ]
            )
    random = pd.read_csv(folder / RANDOMISED).spearman
    return _section(
        "Are the maps faithful?",
        f"Every message was muted, on {table.case.nunique()} cases and {table.seed.nunique()} "
        f"networks ({len(table)} mutings). *Weight* is eq. 16, *information* the mean of the map.",
        _markdown(rows),
        f"Sanity check: maps of the same network with randomly drawn convolutions correlate with "
        f"the trained network's maps by {random.mean():+.2f} ± {random.std():.2f} (Spearman's rho "
        "over voxels).",
        f"![Attributed weight and measured loss]({TABLES}/muting.png)",
        _note(folder, "muting"),
    )


def _finetuning(path: Path, cases: str) -> str:
    if not path.is_file():
        return ""
    table = pd.read_csv(path)
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return _section(
        f"Fine-tuning on one case ({cases})",
        "Each fine-tune uses one case. The interpolation is between the old weights (0) and the "
        "fine-tuned ones (1). Mean Dice over regions and cases; *others* are cases of the same "
        "kind, not trained on, and neither are the replay cases that are measured.",
        _markdown(finetuning_rows(table, about["trials"])),
        *_protocols(table),
        _note(path.parent, path.stem),
    )


def _protocols(table: pd.DataFrame) -> tuple[str, ...]:
    names = [name for name in dict.fromkeys(table.protocol) if name in PROTOCOLS]
    if not names:
        return ()
    return (
        "Mean signals relative to white matter in T1 (enhancement in T1CE is drawn separately):",
        (_markdown(protocol_rows(names))),
    )


def _alignment(folder: Path) -> str:
    if not (folder / ALIGNMENT).is_file():
        return ""
    table = pd.read_csv(folder / ALIGNMENT)
    groups = [*table.groupby("moved"), ("**all**", table)]
    rows = [["moved", "trials", "before mm", "after mm", "worst trial mm", "worst point mm"]]
    for name, group in groups:
        before, after = (
            f"{group[when].mean():.2f} ± {group[when].std():.2f}"
            for when in ("before_mm", "after_mm")
        )
        worst = f"{group.after_mm.max():.2f}", f"{group.largest_mm.max():.2f}"
        rows.append([str(name), str(len(group)), before, after, *worst])
    return _section(
        "Registration of modalities",
        f"{len(table)} random transforms of phantoms: rotations of up to "
        f"{table.degrees.max():.0f} degrees, mean displacements of the brain of up to "
        f"{table.before_mm.max():.0f} mm. The moved modality has "
        "thick slices of its own and is registered to T1CE. Target registration error: mean over "
        "the brain, then mean and standard deviation over trials.",
        _markdown(rows),
        *_native(folder),
        _note(folder, "alignment"),
    )


def _native(folder: Path) -> tuple[str, ...]:
    if not (folder / NATIVE).is_file():
        return ()
    table = pd.read_csv(folder / NATIVE)
    rows = [["moved", "before mm", "after mm", "worst point mm"]]
    rows += [
        [row.moved, f"{row.before_mm:.2f}", f"{row.after_mm:.2f}", f"{row.largest_mm:.2f}"]
        for row in table.itertuples()
    ]
    text = "A patient as scanned, measured against the same modalities as a data set prepared them:"
    return text, _markdown(rows)


def _data(text: str) -> str:
    return SYNTHETIC if text.startswith(SYNTHETIC) else " ".join(text.split()[:2])


def _plus_minus(table: pd.DataFrame, variant: str, region: str) -> str:
    dice = estimate(table, variant, region)
    return f"{dice.mean:.3f} ± {dice.deviation:.3f}"


def _interval(value: Difference) -> str:
    text = f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
    return f"**{text}**" if value.is_significant else text


def _note(folder: Path, name: str) -> str:
    path = folder / f"{name}.md"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *(part for part in parts if part)]) + "\n"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])

"""`reproduce shapes`: section 4.3 with both shapes as primary and three seeds; redraws Fig. 9."""

from dataclasses import asdict, replace
from pathlib import Path

from napari_ciml.files import (
    atomic_write,
    ensure_writable_folder,
    read_table,
    write_json,
    write_table,
)
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.shapes.data import Shapes
from napari_ciml.research.shapes.experiment import (
    ShapeResult,
    ShapeSettings,
    measure,
    predict,
    split_shapes,
    train_shapes,
)
from napari_ciml.research.shapes.network import ShapeNetwork

TABLE, SETTINGS, FIGURE = "shapes.csv", "shapes.json", "shapes.png"
_SEEDS = (0, 1, 2)
_PAPER_STEPS = 100_000
_DRAWN = 4

VARIANTS = (
    ShapeSettings(beta=0.1),
    ShapeSettings(beta=1.5),
    ShapeSettings(beta=3.0),
    ShapeSettings(beta=1.5, primary="triangle"),
)


def reproduce_shapes(paper: bool, output: Path, monitor: ProgressMonitor) -> Path:
    """Perform the runs that the table lacks, and write it.

    Parameters
    ----------
    paper : bool
        Train for 1000 epochs of 100 iterations, as in section 4.2.
    output : pathlib.Path
        Output folder; table, settings and figure go into ``studies`` in it.
    monitor : ProgressMonitor
        Receives every step; cancelling keeps the finished runs.
    """
    folder = ensure_writable_folder(output / TABLES)
    rows = read_table(folder / TABLE)
    variants = [replace(v, steps=_PAPER_STEPS) for v in VARIANTS] if paper else list(VARIANTS)
    write_json(folder / SETTINGS, {"variants": [asdict(v) | {"seed": _SEEDS} for v in variants]})
    for variant in (replace(v, seed=seed) for seed in _SEEDS for v in variants):
        key = {name: str(getattr(variant, name)) for name in ("primary", "beta", "steps", "seed")}
        if any(key.items() <= row.items() for row in rows):
            continue
        training, test = split_shapes(variant.primary)
        network = train_shapes(training, variant, monitor)
        rows.append(key | _figures(measure(network, test)))
        write_table(folder / TABLE, rows)
        if variant == replace(VARIANTS[1], steps=variant.steps):
            draw(network, test, folder / FIGURE)
    return folder / TABLE


def draw(network: ShapeNetwork, shapes: Shapes, path: Path) -> None:
    """Redraw Fig. 9: primary, auxiliary, prediction, target, complementary information."""
    from matplotlib.figure import Figure

    pairs = Shapes(shapes.primary[:_DRAWN], shapes.auxiliary[:_DRAWN])
    prediction = predict(network, pairs)
    nats = prediction.nats()[:, 0].numpy()
    columns = {
        "primary": pairs.primary,
        "auxiliary": pairs.auxiliary,
        "prediction": (prediction.logits[:, 0] > 0).numpy(),
        "target": pairs.union,
        "complementary information (nats)": nats,
    }
    figure = Figure(figsize=(11, 2.15 * _DRAWN), layout="constrained")
    grid = figure.subplots(_DRAWN, len(columns))
    for k, (title, images) in enumerate(columns.items()):
        is_last = k == len(columns) - 1
        colormap, highest = ("viridis", nats.max()) if is_last else ("gray", 1)
        for axes, image in zip(grid[:, k], images, strict=True):
            mappable = axes.imshow(image, cmap=colormap, vmin=0, vmax=highest)
            axes.set_axis_off()
        grid[0, k].set_title(title, fontsize=10)
    figure.colorbar(mappable, ax=grid[:, -1], shrink=0.5)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _figures(result: ShapeResult) -> dict[str, str]:
    fractions = {name: f"{fraction:.4f}" for name, fraction in result.fractions.items()}
    return {"dice": f"{result.dice:.5f}", "nats": f"{result.nats:.1f}"} | fractions

"""`reproduce shapes`: both shapes as primary, several betas, three seeds; Fig. 9 redrawn."""

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
_SHOWN = 4

VARIANTS = (
    ShapeSettings(beta=0.1),
    ShapeSettings(beta=1.5),
    ShapeSettings(beta=3.0),
    ShapeSettings(beta=1.5, primary="triangle"),
)


def reproduce_shapes(paper: bool, output: Path, monitor: ProgressMonitor) -> Path:
    """Do every run that the table does not have yet, and write it.

    Parameters
    ----------
    paper : bool
        1000 epochs of 100 iterations, as section 4.2.
    output : pathlib.Path
        Table, settings and figure go into `studies` in it.
    monitor : Monitor
        Told at each step; cancelling keeps the runs done.
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
    """Redraw Fig. 9: primary, auxiliary, prediction, target, and where the nats lie."""
    from matplotlib.figure import Figure

    shown = Shapes(shapes.primary[:_SHOWN], shapes.auxiliary[:_SHOWN])
    seen = predict(network, shown)
    nats = seen.nats()[:, 0].numpy()
    columns = {
        "primary": shown.primary,
        "auxiliary": shown.auxiliary,
        "prediction": (seen.logits[:, 0] > 0).numpy(),
        "target": shown.union,
        "complementary information (nats)": nats,
    }
    figure = Figure(figsize=(11, 2.15 * _SHOWN), layout="constrained")
    grid = figure.subplots(_SHOWN, len(columns))
    for k, (title, images) in enumerate(columns.items()):
        last = k == len(columns) - 1
        for axes, image in zip(grid[:, k], images, strict=True):
            drawn = axes.imshow(
                image, cmap="viridis" if last else "gray", vmin=0, vmax=nats.max() if last else 1
            )
            axes.set_axis_off()
        grid[0, k].set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=grid[:, -1], shrink=0.5)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _figures(result: ShapeResult) -> dict[str, str]:
    shares = {name: f"{share:.4f}" for name, share in result.shares.items()}
    return {"dice": f"{result.dice:.5f}", "nats": f"{result.nats:.1f}"} | shares

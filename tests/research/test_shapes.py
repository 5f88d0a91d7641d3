from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ciml.errors import CancelledError
from napari_ciml.files import read_table
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.shapes import study
from napari_ciml.research.shapes.data import make_shapes
from napari_ciml.research.shapes.experiment import (
    ShapeSettings,
    images,
    measure,
    split_shapes,
    train_shapes,
)
from napari_ciml.research.shapes.network import ShapeNetwork, ShapePrediction


def test_shapes_overlap_and_their_parts_fill_the_image() -> None:
    shapes = make_shapes(40, 3)
    parts = shapes.parts()
    assert (sum(part.astype(int) for part in parts.values()) == 1).all()
    shared = parts["overlap"].sum(axis=(1, 2))
    smaller = np.minimum(shapes.primary.sum(axis=(1, 2)), shapes.auxiliary.sum(axis=(1, 2)))
    assert ((shared / smaller > 0.05) & (shared / smaller < 0.4)).all()
    np.testing.assert_array_equal(shapes.primary, make_shapes(40, 3).primary)
    other = make_shapes(40, 3, "triangle")
    np.testing.assert_array_equal(other.primary, shapes.auxiliary)


def test_a_new_network_says_nothing_through_kappa() -> None:
    torch.manual_seed(0)
    shapes = make_shapes(2, 0)
    seen = ShapeNetwork()(images(shapes.primary), images(shapes.auxiliary), sample=False)
    torch.testing.assert_close(seen.mu, torch.zeros_like(seen.mu))
    assert float(seen.nats().detach().max()) < 1e-5


def test_nats_are_the_kl_of_a_normal_distribution() -> None:
    mu, sigma = torch.randn(1, 1, 4, 4), torch.rand(1, 1, 4, 4) + 0.2
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, sigma), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(ShapePrediction(mu, mu, sigma).nats(), expected)


def test_the_complementary_path_teaches_the_primary_encoder_nothing() -> None:
    torch.manual_seed(0)
    network = ShapeNetwork()
    torch.nn.init.normal_(network.complementary.last.weight)
    shapes = make_shapes(2, 0)
    seen = network(images(shapes.primary), images(shapes.auxiliary), sample=True)
    seen.nats().mean().backward()
    assert all(p.grad is None for p in network.primary.parameters())
    assert all(p.grad is not None for p in network.auxiliary.parameters())


def test_information_gathers_where_the_primary_sees_nothing() -> None:
    settings = ShapeSettings(beta=0.1, steps=300, batch_size=4, learning_rate=4e-3)
    training, test = split_shapes("ellipse")
    assert len(training.primary), len(test.primary) == (800, 200)
    result = measure(train_shapes(training, settings, ProgressMonitor()), test)
    assert result.dice > 0.9
    assert sum(result.fractions.values()) == pytest.approx(1)
    assert result.fractions["auxiliary only"] > 0.6
    assert result.fractions["overlap"] < 0.1


def test_a_stopped_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        study, "VARIANTS", tuple(ShapeSettings(beta=b, steps=2) for b in (0.1, 0.5))
    )
    seen: list[int] = []

    def report(_: object) -> None:
        seen.append(1)
        if len(seen) == 5:
            monitor.stop.set()

    monitor = ProgressMonitor(report=report)
    with pytest.raises(CancelledError):
        study.reproduce_shapes(False, tmp_path, monitor)
    table = tmp_path / "studies" / "shapes.csv"
    assert len(read_table(table)) == 2
    before = read_table(table)
    assert study.reproduce_shapes(False, tmp_path, ProgressMonitor()) == table
    rows = read_table(table)
    assert rows[:2] == before
    assert [(row["beta"], row["seed"]) for row in rows] == [
        (beta, seed) for seed in "012" for beta in ("0.1", "0.5")
    ]
    assert (tmp_path / "studies" / "shapes.png").stat().st_size > 5000

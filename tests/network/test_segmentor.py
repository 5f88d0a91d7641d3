"""Stages, sizes and counts against Table 1; the own path; the KL over levels."""

import pytest
import torch
from torch import Tensor, nn

from helpers.networks import BRATS, MIXED, images, network, settled
from napari_ciml.decomposition.model import Decomposition, Message
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Encoder
from napari_ciml.network.gate import Gate
from napari_ciml.network.segmentor import Segmentor
from napari_ciml.network.settings import NetworkSettings

TABLE_5 = {
    "baseline": {"message": False},
    "message": {"attention": False, "variational": False},
    "attention": {"variational": False},
    "vi": {"attention": False},
    "all": {},
}


def outputs_of(modules: dict[str, nn.Module]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return a dictionary that is filled with each module's input and output shapes."""
    seen: dict[str, tuple[tuple[int, ...], ...]] = {}
    for name, module in modules.items():
        module.register_forward_hook(
            lambda _, given, made, name=name: seen.update(
                {name: (tuple(given[0].shape[1:]), tuple(made.shape[1:]))}
            )
        )
    return seen


@pytest.mark.parametrize("filters", [3, 8])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_encoder_stages_are_table_1(filters: int, norm: str) -> None:
    encoder = Encoder(1, NetworkSettings(base_filters=filters, norm=norm))
    full, levels = encoder(torch.randn(2, 1, 32, 48, 32))
    assert full.shape == (2, filters, 32, 48, 32)
    for k, level in enumerate(levels):
        cut = 2 ** (k + 1)
        assert level.shape == (2, filters * 2**k, 32 // cut, 48 // cut, 32 // cut)
    kinds = nn.BatchNorm3d if norm == "batch" else nn.InstanceNorm3d
    assert sum(isinstance(m, kinds) for m in encoder.modules()) == 8


@pytest.mark.parametrize(
    ("preset", "subtask", "k", "o"),
    [("brats2020", "T1CE", 3, 2), ("brats2020", "FLAIR", 3, 1), ("autopet", "PET", 1, 1)],
)
@pytest.mark.parametrize(("c", "p"), [(2, 32), (3, 48)])
def test_every_stage_of_the_decoder_is_table_1(
    preset: str, subtask: str, k: int, o: int, c: int, p: int
) -> None:
    net = network(PRESETS[preset], base_filters=c)
    segmentor, modules = net.segmentor(subtask), {}
    for step, gate in enumerate(segmentor.gates):
        modules |= {f"attention{step}.0": gate.attention[0], f"attention{step}": gate.attention}
        modules |= {f"mu{step}": next(iter(gate.mu.values()))}
        modules |= {f"sigma{step}": next(iter(gate.sigma.values()))}
    for step in range(4):
        modules |= {f"up{step}": segmentor.ups[step], f"conv{step}": segmentor.convs[step]}
    seen = outputs_of({**modules, "output": segmentor.output})
    net(images(PRESETS[preset], p), subtasks=[subtask], noise=torch.randn_like)

    def cube(channels: int, cut: int) -> tuple[int, ...]:
        return (channels, p // cut, p // cut, p // cut)

    expected = {}
    for step, (cut, width) in enumerate([(16, 8 * c), (8, 4 * c), (4, 2 * c), (2, c)]):
        expected[f"attention{step}.0"] = (cube(k + 1, cut), cube(4 * (k + 1), cut))
        expected[f"attention{step}"] = (cube(k + 1, cut), cube(k, cut))
        expected[f"mu{step}"] = expected[f"sigma{step}"] = (cube(width, cut), cube(width, cut))
    ups = [(16, 16 * c, 8 * c), (8, 8 * c, 4 * c), (4, 4 * c, 2 * c), (2, 2 * c, c)]
    for step, (cut, wide, narrow) in enumerate(ups):
        expected[f"up{step}"] = (cube(wide, cut), cube(narrow, cut // 2))
        expected[f"conv{step}"] = (cube(wide, cut // 2), cube(narrow, cut // 2))
    expected["output"] = (cube(c, 1), cube(o, 1))
    assert seen == expected


def conv(inputs: int, outputs: int, edge: int) -> int:
    """Weights of a convolution with a norm after it: no bias, but scale and shift."""
    return edge**3 * inputs * outputs + 2 * outputs


def encoder_count(c: int, inputs: int) -> int:
    before, total = inputs, 0
    for width in (c, 2 * c, 4 * c, 8 * c):
        total += conv(before, width, 3) + conv(width, width, 3)
        before = width
    return total


def segmentor_count(c: int, k: int, o: int, parts: NetworkSettings) -> int:
    k = k if parts.message else 0
    total = 0
    for width in (8 * c, 4 * c, 2 * c, c) if k else ():
        pointwise = width * width + width
        if parts.attention:
            total += conv(k + 1, 4 * (k + 1), 3) + conv(4 * (k + 1), k, 1)
        if parts.variational:
            total += k * 2 * pointwise
        if not parts.attention and not parts.variational:
            total += k * conv(width, width, 3)
        total += k * pointwise  # the alignment of section 3.2
    # With messages the sum of what they say lies beside the own embedding; without, it is absent.
    wide = 2 if k else 1
    for up, own, out in (
        (wide * 8 * c, 4 * c * wide, 8 * c),
        (8 * c, 2 * c * wide, 4 * c),
        (4 * c, c * wide, 2 * c),
        (2 * c, c, c),
    ):
        total += conv(up, out, 3) + conv(out + own, out, 3)
    return total + 27 * c * o + o


@pytest.mark.parametrize("switches", TABLE_5)
@pytest.mark.parametrize(
    ("whole", "c", "norm", "inputs"),
    [
        (BRATS, 4, "batch", (1, 1, 1, 1)),
        (PRESETS["flair-t1ce"], 3, "instance", (1, 1)),
        (MIXED, 2, "batch", (2, 1, 1, 1)),  # PET+CT, CT, MR, and PET for its message
    ],
    ids=["brats", "two", "mixed"],
)
def test_parameter_counts_from_table_1(
    whole: Decomposition, c: int, norm: str, inputs: tuple[int, ...], switches: str
) -> None:
    parts = NetworkSettings(base_filters=c, norm=norm, **TABLE_5[switches])
    if whole is MIXED and switches == "baseline":
        inputs = (2, 1, 1)  # nobody listens to PET alone
    expected = sum(encoder_count(c, n) for n in inputs) + sum(
        segmentor_count(c, len(task.auxiliaries), len(task.regions), parts)
        for task in whole.subtasks
    )
    assert sum(p.numel() for p in CIML(whole, parts).parameters()) == expected


def test_norm_is_the_one_asked_for_everywhere() -> None:
    kinds = {"batch": nn.BatchNorm3d, "instance": nn.InstanceNorm3d}
    for norm, kind in kinds.items():
        found = {type(m) for m in network(norm=norm).modules() if "Norm" in type(m).__name__}
        assert found == {kind}
    for layer in network().modules():
        if isinstance(layer, nn.LeakyReLU):
            assert layer.negative_slope == 0.01


def own_only(segmentor: Segmentor, full: Tensor, levels: tuple[Tensor, ...]) -> Tensor:
    """The decoder of Table 1 by hand, where every message says nothing."""
    x = torch.cat([levels[3], torch.zeros_like(levels[3])], dim=1)
    for step, own in enumerate((levels[2], levels[1], levels[0])):
        x = segmentor.ups[step](x)
        x = segmentor.convs[step](torch.cat([x, own, torch.zeros_like(own)], dim=1))
    x = segmentor.convs[3](torch.cat([segmentor.ups[3](x), full], dim=1))
    return segmentor.output(x)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_muting_every_message_leaves_the_own_path(norm: str) -> None:
    net, seen = settled(norm), images(BRATS)
    muted = {m for m in BRATS.messages if m.primary == "T2"}
    ran: list[str] = []
    for name, encoder in net.encoders.items():
        encoder.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad():
        made = net({"T2": seen["T2"]}, subtasks=["T2"], muted=muted)["T2"]
        assert ran == ["T2"]
        expected = own_only(net.segmentor("T2"), *net.encoders["T2"](seen["T2"]))
    torch.testing.assert_close(made.logits, expected)
    assert made.kl is None


def silence(gate: Gate, mu: float, sigma: float) -> None:
    """Make every message of a gate N(mu, sigma^2), whatever it is."""
    for layers, value in ((gate.mu, mu), (gate.sigma, sigma)):
        for layer in layers.values():
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, value)


@pytest.mark.parametrize(
    ("whole", "subtask", "c", "edge", "muted"),
    [
        (BRATS, "T2", 2, 32, ()),
        (BRATS, "T2", 5, 48, ()),
        (BRATS, "T2", 2, 32, (Message("T2", "T1"),)),
        (PRESETS["flair-t1ce"], "FLAIR", 3, 32, ()),
    ],
)
def test_kl_does_not_depend_on_width_patch_or_messages(
    whole: Decomposition, subtask: str, c: int, edge: int, muted: tuple[Message, ...]
) -> None:
    """The same distribution everywhere has the same KL, so that beta has one meaning."""
    net = network(whole, base_filters=c)
    raw = -0.4328  # softplus gives 0.5, and the floor is 0.001
    means = [0.0, 1.0, 2.0, 0.5]
    for gate, mu in zip(net.segmentor(subtask).gates, means, strict=True):
        silence(gate, mu, raw)
    with torch.no_grad():
        seen = images(whole, edge)
        kl = net(seen, subtasks=[subtask], muted=muted, noise=torch.randn_like)[subtask].kl
    sigma = torch.distributions.Normal(torch.tensor(means), torch.tensor(0.501))
    standard = torch.distributions.Normal(0.0, 1.0)
    # The mean over the four levels, each of which counts the same whatever its size.
    expected = torch.distributions.kl_divergence(sigma, standard).mean()
    torch.testing.assert_close(kl, expected, rtol=1e-3, atol=1e-3)

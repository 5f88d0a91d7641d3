import pytest
import torch
from torch import Tensor, nn

from napari_ciml.decomposition import Decomposition, Message, Region, Subtask
from napari_ciml.network.ciml import CIML, encoder_inputs
from napari_ciml.network.encoder import Encoder
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.presets import PRESETS

BRATS = PRESETS["brats2020"]
LESION = Region(name="lesion", labels=(1,), colour="#ff0000")

# Two primaries in one subtask, one auxiliary (MR) that is nobody's primary.
MIXED = Decomposition(
    name="mixed",
    modalities=("PET", "CT", "MR"),
    regions=(LESION,),
    subtasks=(
        Subtask(primary=("PET", "CT"), regions=("lesion",), auxiliaries=("MR",)),
        Subtask(primary=("CT",), regions=("lesion",), auxiliaries=("PET", "MR")),
    ),
).checked()


def images(decomposition: Decomposition, edge: int = 32, batch: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(batch, 1, edge, edge, edge) for m in decomposition.modalities}


def network(decomposition: Decomposition = BRATS, **settings: object) -> CIML:
    torch.manual_seed(0)
    return CIML(
        decomposition, NetworkSettings(**{"base_filters": 2, "norm": "instance", **settings})
    )


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


def test_decoder_widths_are_table_1() -> None:
    c = 4
    segmentor = network(base_filters=c).segmentor("T2")
    ups = [(up[0].in_channels, up[0].out_channels) for up in segmentor.ups]
    convs = [(conv[0].in_channels, conv[0].out_channels) for conv in segmentor.convs]
    assert ups == [(16 * c, 8 * c), (8 * c, 4 * c), (4 * c, 2 * c), (2 * c, c)]
    assert convs == [(16 * c, 8 * c), (8 * c, 4 * c), (4 * c, 2 * c), (2 * c, c)]
    assert [gate.mu["T1"].in_channels for gate in segmentor.gates] == [8 * c, 4 * c, 2 * c, c]
    for gate in segmentor.gates:
        k = 3
        first, second = gate.attention[0][0], gate.attention[1]
        assert (first.in_channels, first.out_channels) == (k + 1, 4 * (k + 1))
        assert (second.in_channels, second.out_channels) == (4 * (k + 1), k)
        assert (first.kernel_size, second.kernel_size) == ((3, 3, 3), (1, 1, 1))
    assert segmentor.output.out_channels == 2
    assert segmentor.output.kernel_size == (3, 3, 3)


def counted(c: int, k: int, outputs: int, inputs: int = 1) -> tuple[int, int]:
    """Parameters of an encoder and a segmentor, by hand from Table 1: conv, norm 2n, no bias."""
    encoder, before = 0, inputs
    for width in (c, 2 * c, 4 * c, 8 * c):
        encoder += 27 * before * width + 2 * width + 27 * width * width + 2 * width
        before = width
    segmentor = 0
    for width in (8 * c, 4 * c, 2 * c, c):
        segmentor += 27 * (k + 1) * 4 * (k + 1) + 8 * (k + 1)  # attention, first
        segmentor += 4 * (k + 1) * k + 2 * k  # attention, second
        segmentor += 3 * k * (width * width + width)  # mu, sigma, alignment, with bias
    for up, out in ((16 * c, 8 * c), (8 * c, 4 * c), (4 * c, 2 * c), (2 * c, c)):
        segmentor += 27 * up * out + 2 * out + 27 * (2 * out) * out + 2 * out
    return encoder, segmentor + 27 * c * outputs + outputs


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("preset", "c"), [("brats2020", 4), ("flair-t1ce", 3), ("autopet", 8)])
def test_parameter_counts(preset: str, c: int, norm: str) -> None:
    whole = PRESETS[preset]
    net = network(whole, base_filters=c, norm=norm)
    expected = 0
    for task in whole.subtasks:
        expected += sum(counted(c, len(task.auxiliaries), len(task.regions)))
    assert sum(p.numel() for p in net.parameters()) == expected


def test_mixed_decomposition_encodes_every_source_once() -> None:
    net = network(MIXED)
    assert encoder_inputs(MIXED) == {
        "PET+CT": ("PET", "CT"),
        "CT": ("CT",),
        "MR": ("MR",),
        "PET": ("PET",),
    }
    calls: list[str] = []
    for name, encoder in net.encoders.items():
        encoder.register_forward_hook(lambda *_, name=name: calls.append(name))
    out = net(images(MIXED))
    assert sorted(calls) == ["CT", "MR", "PET", "PET+CT"]
    assert {name: p.logits.shape for name, p in out.items()} == {
        "PET+CT": (1, 1, 32, 32, 32),
        "CT": (1, 1, 32, 32, 32),
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"message": False},
        {"attention": False, "variational": False},
        {"variational": False},
        {"attention": False},
        {},
    ],
)
def test_switches_of_table_5(settings: dict[str, bool]) -> None:
    net = network(**settings)
    out = net(images(BRATS))
    sampled = settings.get("message", True) and settings.get("variational", True)
    for task in BRATS.subtasks:
        assert out[task.name].logits.shape == (1, len(task.regions), 32, 32, 32)
        assert (out[task.name].kl is not None) == sampled
    sum(p.logits.sum() + (p.kl or 0) for p in out.values()).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_without_messages_other_modalities_do_not_matter() -> None:
    net = network(message=False).eval()
    seen = images(BRATS)
    before = net(seen)["FLAIR"].logits
    after = net({**seen, "T2": seen["T2"] + 5})["FLAIR"].logits
    torch.testing.assert_close(before, after)


def test_inference_is_deterministic_and_training_is_not() -> None:
    net = network().eval()
    seen = images(BRATS)
    torch.testing.assert_close(net(seen)["T1"].logits, net(seen)["T1"].logits)
    net.train()
    assert not torch.allclose(net(seen)["T1"].logits, net(seen)["T1"].logits)


def test_muted_modality_has_no_effect_and_is_not_encoded() -> None:
    net = network().eval()
    seen = images(BRATS)
    muted = frozenset({Message("FLAIR", "T1")})
    before = net(seen, subtasks=["FLAIR"], muted=muted)["FLAIR"].logits
    gone = {name: image for name, image in seen.items() if name != "T1"}
    torch.testing.assert_close(before, net(gone, subtasks=["FLAIR"], muted=muted)["FLAIR"].logits)
    assert not torch.allclose(before, net(seen, subtasks=["FLAIR"])["FLAIR"].logits)


def test_only_the_subtasks_asked_for_are_run() -> None:
    net = network()
    ran: list[str] = []
    for name, segmentor in net.segmentors.items():
        segmentor.register_forward_hook(lambda *_, name=name: ran.append(name))
    assert list(net(images(BRATS), subtasks=["T2"])) == ["T2"]
    assert ran == ["T2"]


def reached(net: CIML) -> set[str]:
    return {
        ".".join(name.split(".")[:2])
        for name, p in net.named_parameters()
        if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_gradients_reach_what_they_must_and_nothing_else() -> None:
    net = network()
    muted = frozenset({Message("T2", "T1")})
    net(images(BRATS), subtasks=["T2"], muted=muted)["T2"].logits.sum().backward()
    assert reached(net) == {"segmentors.T2", "encoders.T2", "encoders.FLAIR", "encoders.T1CE"}


def test_batch_norm_network_gives_the_same_answer_for_any_tile() -> None:
    net = network(norm="batch")
    for _ in range(3):
        net(images(BRATS, 32))
    net.eval()
    seen = images(BRATS, 64)
    whole = net(seen, subtasks=["FLAIR"])["FLAIR"].logits
    part = {m: image[..., :48] for m, image in seen.items()}
    # Away from the cut the two differ by less than float noise only beyond the receptive field.
    tile = net(part, subtasks=["FLAIR"])["FLAIR"].logits
    spread = whole.std()
    assert (whole[..., :4] - tile[..., :4]).abs().max() < 0.02 * spread

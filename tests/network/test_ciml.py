import pytest
import torch

from helpers.networks import BRATS, MIXED, images, network, settled
from napari_ciml.decomposition.model import Decomposition, Message, Region, Subtask
from napari_ciml.errors import DecompositionError
from napari_ciml.network.ciml import CIML, encoder_inputs
from napari_ciml.network.settings import NetworkSettings


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
    out = net(images(MIXED), noise=torch.randn_like)
    assert sorted(calls) == ["CT", "MR", "PET", "PET+CT"]
    assert {name: tuple(p.logits.shape) for name, p in out.items()} == dict.fromkeys(
        ("PET+CT", "CT", "MR"), (1, 1, 32, 32, 32)
    )
    assert (out["PET+CT"].kl is None, out["MR"].kl is None) == (False, True)


def test_without_messages_nobody_is_encoded_to_be_heard_only() -> None:
    assert set(encoder_inputs(MIXED, message=False)) == {"PET+CT", "CT", "MR"}


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
    out = net(images(BRATS), noise=torch.randn_like)
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
    sampled = [net(seen, noise=torch.randn_like)["T1"].logits for _ in range(2)]
    assert not torch.allclose(*sampled)


def test_muted_modality_has_no_effect_and_is_not_encoded() -> None:
    net = network().eval()
    seen = images(BRATS)
    muted = frozenset({Message("FLAIR", "T1")})
    before = net(seen, subtasks=["FLAIR"], muted=muted)["FLAIR"].logits
    gone = {name: image for name, image in seen.items() if name != "T1"}
    torch.testing.assert_close(before, net(gone, subtasks=["FLAIR"], muted=muted)["FLAIR"].logits)
    assert not torch.allclose(before, net(seen, subtasks=["FLAIR"])["FLAIR"].logits)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_not_a_voxel_of_a_muted_modality_gets_through(norm: str) -> None:
    """NaN would spread into everything it touches, by whatever way."""
    net, seen = settled(norm), images(BRATS)
    muted = {m for m in BRATS.messages if m.auxiliary == "T1"}
    others = ("FLAIR", "T2", "T1CE")
    broken = {**seen, "T1": torch.full_like(seen["T1"], torch.nan)}
    with torch.no_grad():
        before = net(seen, subtasks=others, muted=muted)
        after = net(broken, subtasks=others, muted=muted)
        heard = net(broken, subtasks=["T2"])["T2"].logits
    for name in others:
        assert torch.equal(before[name].logits, after[name].logits)
    assert not heard.isfinite().all()


def test_only_the_subtasks_asked_for_are_run() -> None:
    net = network()
    ran: list[str] = []
    for name, segmentor in net.segmentors.items():
        segmentor.register_forward_hook(lambda *_, name=name: ran.append(name))
    assert list(net(images(BRATS), subtasks=["T2"])) == ["T2"]
    assert ran == ["T2"]


def reached(net: CIML) -> set[str]:
    return {n for n, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def rooms(names: set[str]) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize(
    ("subtask", "encoders"),
    [("PET+CT", {"PET+CT", "MR"}), ("CT", {"CT", "PET", "MR"}), ("MR", {"MR"})],
)
def test_a_loss_reaches_its_own_and_its_auxiliaries_encoders_and_nothing_else(
    subtask: str, encoders: set[str]
) -> None:
    net = network(MIXED)
    net(images(MIXED), subtasks=[subtask])[subtask].logits.square().mean().backward()
    assert rooms(reached(net)) == {f"segmentors.{subtask}"} | {f"encoders.{e}" for e in encoders}


def test_a_muted_message_learns_nothing_and_the_others_learn_all() -> None:
    net = network()
    muted = {Message("T2", "T1")}
    made = net(images(BRATS), subtasks=["T2"], muted=muted, noise=torch.randn_like)["T2"]
    (made.logits.square().mean() + made.kl).backward()
    own = {n for n, _ in net.named_parameters() if n.startswith(("segmentors.T2", "encoders.T2"))}
    silent = {n for n in own if ".T1." in n}
    assert len(silent) == 4 * 3 * 2  # mu, sigma and alignment, weight and bias, at four gates
    assert own - reached(net) == silent
    assert not any(n.startswith("encoders.T1.") for n in reached(net))


def test_the_kl_reaches_gates_and_encoders_but_no_decoder() -> None:
    net = network()
    net(images(BRATS), subtasks=["T2"], noise=torch.randn_like)["T2"].kl.backward()
    names = reached(net)
    assert rooms(names) == {"segmentors.T2"} | {f"encoders.{m}" for m in BRATS.modalities}
    inside = {name.split(".")[2] for name in names if name.startswith("segmentors")}
    assert inside == {"gates"}


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


def test_a_modality_named_like_a_part_of_pytorch_is_refused() -> None:
    decomposition = Decomposition(
        name="odd",
        modalities=("type", "T1"),
        regions=(Region(name="WT", labels=(1,), colour="#ffffff"),),
        subtasks=(Subtask(primary=("type",), regions=("WT",), auxiliaries=("T1",)),),
    )
    with pytest.raises(DecompositionError, match="'type' cannot be the name"):
        CIML(decomposition, NetworkSettings(base_filters=2))

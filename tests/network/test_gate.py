import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from napari_ciml.network.gate import SIGMA_FLOOR, Gate, Noise, kl_to_standard_normal
from napari_ciml.network.settings import NetworkSettings

NAMES = ("T1", "T2", "T1CE")


def gate(**settings: object) -> Gate:
    torch.manual_seed(0)
    return Gate(4, NAMES, NetworkSettings(**{"norm": "instance", **settings}))


def inputs(edge: int = 6) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(2)
    return torch.randn(1, 4, edge, edge, edge), {
        n: torch.randn(1, 4, edge, edge, edge) for n in NAMES
    }


def test_kl_is_that_of_torch_distributions() -> None:
    mu, sigma = torch.randn(3, 4, 5), torch.rand(3, 4, 5) + 0.1
    expected = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(kl_to_standard_normal(mu, sigma), expected)
    assert kl_to_standard_normal(torch.zeros(5), torch.ones(5)) == 0


def test_kl_of_a_gate_is_the_mean_over_messages() -> None:
    own, messages = inputs()
    module = gate()
    attended = module._attend(own, messages)
    expected = [
        kl_divergence(
            Normal(
                module.mu[name](attended[name]),
                functional.softplus(module.sigma[name](attended[name])) + SIGMA_FLOOR,
            ),
            Normal(0.0, 1.0),
        ).mean()
        for name in NAMES
    ]
    torch.testing.assert_close(
        module(own, messages, noise=torch.randn_like).kl, torch.stack(expected).mean()
    )


def test_kappa_is_mu_at_inference_and_scatters_around_it_by_sigma_in_training() -> None:
    own, messages = inputs(edge=24)
    module = gate()
    attended = module._attend(own, messages)["T2"]
    mu = module.mu["T2"](attended)
    sigma = functional.softplus(module.sigma["T2"](attended)) + SIGMA_FLOOR
    torch.testing.assert_close(module(own, messages).kappas["T2"], mu)
    standard = (module(own, messages, noise=torch.randn_like).kappas["T2"] - mu) / sigma
    assert abs(standard.mean().item()) < 0.02
    assert abs(standard.std().item() - 1) < 0.02


def test_gate_weights_are_one_map_per_message_in_0_1() -> None:
    own, messages = inputs()
    attended = gate(variational=False)(own, messages).kappas
    for name in NAMES:
        ratio = (attended[name] / messages[name]).detach()
        assert 0 < float(ratio.min()) <= float(ratio.max()) < 1
        # One spatial map for all channels of a message.
        torch.testing.assert_close(ratio[:, 0], ratio[:, 1], rtol=1e-3, atol=1e-4)


def test_a_muted_message_has_no_kappa_and_pools_to_zero() -> None:
    own, messages = inputs()
    module = gate(variational=False)
    heard = {name: messages[name] for name in ("T1", "T1CE")}
    silent = {**messages, "T2": torch.zeros_like(messages["T2"])}
    muted, zeroed = module(own, heard), module(own, silent)
    assert set(muted.kappas) == {"T1", "T1CE"}
    for name in heard:
        torch.testing.assert_close(muted.kappas[name], zeroed.kappas[name])


def test_join_sums_the_aligned_kappas_beside_the_own_embedding() -> None:
    own, messages = inputs()
    module = gate()
    kappas = module(own, messages).kappas
    joined = module.join(own, kappas)
    torch.testing.assert_close(joined[:, :4], own)
    expected = sum(module.align[name](kappas[name]) for name in NAMES)
    torch.testing.assert_close(joined[:, 4:], expected)
    torch.testing.assert_close(module.join(own, {})[:, 4:], torch.zeros_like(own))


@pytest.mark.parametrize("heard", [NAMES, ("T1", "T1CE"), ()])
def test_a_gate_by_hand_from_its_weights(heard: tuple[str, ...]) -> None:
    """Fig. 8 step by step, in plain functions; whoever is not heard pools to zero."""
    own, messages = inputs()
    module = gate(norm="batch")
    for _ in range(3):
        module(own + 1, {n: 2 * m for n, m in messages.items()})
    w = module.eval().state_dict()

    def normed(x: Tensor, name: str) -> Tensor:
        norm = [w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *norm)

    pooled = [own.mean(1)] + [messages[n].mean(1) * (n in heard) for n in NAMES]
    x = functional.conv3d(torch.stack(pooled, 1), w["attention.0.0.weight"], padding=1)
    x = functional.leaky_relu(normed(x, "attention.0.1"), 0.01)
    x = normed(functional.conv3d(x, w["attention.1.weight"]), "attention.2").sigmoid()
    total = torch.zeros_like(own)
    for k, name in enumerate(NAMES):
        if name in heard:
            gated = messages[name] * x[:, k : k + 1]
            kappa = functional.conv3d(gated, w[f"mu.{name}.weight"], w[f"mu.{name}.bias"])
            total += functional.conv3d(kappa, w[f"align.{name}.weight"], w[f"align.{name}.bias"])
    with torch.no_grad():
        gated = module(own, {n: messages[n] for n in heard})
        joined = module.join(own, gated.kappas)
    assert set(gated.kappas) == set(heard)
    torch.testing.assert_close(joined, torch.cat([own, total], dim=1), rtol=1e-4, atol=1e-5)


def test_sigma_never_reaches_zero() -> None:
    """A KL with a sigma of zero is infinite, and so is its gradient."""
    own, messages = inputs()
    module = gate()
    for layer in module.sigma.values():
        torch.nn.init.constant_(layer.bias, -1e4)
    kl = module(own, messages, noise=torch.randn_like).kl
    kl.backward()
    assert kl.isfinite()
    assert all(p.grad.isfinite().all() for p in module.sigma.parameters())


def test_sigma_and_kl_are_float32_under_autocast() -> None:
    own, messages = inputs()
    module = gate()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gated = module(own, messages, noise=torch.randn_like)
    assert gated.kl is not None
    assert gated.kl.dtype == torch.float32


@pytest.mark.parametrize("noise", [torch.randn_like, None])
def test_all_muted(noise: Noise | None) -> None:
    own, _ = inputs()
    gated = gate()(own, {}, noise)
    assert gated.kappas == {}
    assert gated.kl is None or float(gated.kl) == 0


@pytest.mark.parametrize("settings", [{}, {"attention": False, "variational": False}])
def test_gradients_in_half_precision_are_those_of_float32_at_the_deepest_level(
    settings: dict[str, bool],
) -> None:
    """Two voxels an edge are what a patch of 32 leaves; bf16 convolutions fail there on CPUs."""
    for seed in range(20):
        torch.manual_seed(seed)
        module = gate(**settings)
        own = torch.randn(2, 4, 2, 2, 2)
        messages = {name: torch.randn(2, 4, 2, 2, 2) for name in NAMES}
        gradients = []
        for half in (False, True):
            module.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                kappas = module(own, messages).kappas
            sum(kappa.float().square().sum() for kappa in kappas.values()).backward()
            named = module.attention if settings == {} else module.fusion
            gradients.append(torch.cat([p.grad.flatten() for p in named.parameters()]))
        size = gradients[0].abs().max()
        assert (gradients[0] - gradients[1]).abs().max() < 0.05 * size

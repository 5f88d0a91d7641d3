import numpy as np
import pytest
import torch

from napari_ciml.explanation.faithfulness import (
    ablate_messages,
    model_randomisation_test,
    rank_correlation,
)
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

WHOLE = Runtime(torch.device("cpu"), make_tiling((32, 32, 32), (32, 32, 32), 0.5))


@pytest.fixture
def case(tiny_checkpoint: Checkpoint) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    whole = tiny_checkpoint.info.decomposition
    images = {
        m: rng.standard_normal((32, 32, 32)).astype(np.float32) for m in whole.input_modalities
    }
    return images, dict.fromkeys(whole.region_names, rng.random((32, 32, 32)) > 0.5)


def test_a_message_that_nobody_uses_costs_nothing(
    tiny_checkpoint: Checkpoint, case: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    whole = tiny_checkpoint.info.decomposition
    message = whole.messages[0]
    segmentor = tiny_checkpoint.network.segmentor(message.primary)
    for gate in segmentor.gates:
        torch.nn.init.zeros_(gate.align[message.auxiliary].weight)
        torch.nn.init.zeros_(gate.align[message.auxiliary].bias)
        gate.attention = None  # else the others hear of it through the attention
    found = ablate_messages(tiny_checkpoint, *case, WHOLE, ProgressMonitor())
    assert {(m.pair, m.auxiliary) for m in found} == {
        (pair, aux) for pair in whole.pairs for aux in whole.subtask(pair.primary).auxiliaries
    }
    unused = [m for m in found if (m.pair.primary, m.auxiliary) == tuple(message)]
    assert unused
    for muting in unused:
        assert muting.dice_drop == 0
        assert muting.information == 0
        assert np.isnan(muting.logit_drop) or muting.logit_drop == pytest.approx(0, abs=1e-6)
    others = [m for m in found if m not in unused and m.information > 0]
    assert any(abs(m.logit_drop) > 1e-4 for m in others)


def test_maps_do_not_survive_random_weights(
    tiny_checkpoint: Checkpoint, case: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    before = {k: v.clone() for k, v in tiny_checkpoint.network.state_dict().items()}
    alike = model_randomisation_test(tiny_checkpoint, case[0], WHOLE, ProgressMonitor(), seed=7)
    assert abs(alike) < 0.5
    for name, value in tiny_checkpoint.network.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_rank_correlation_leaves_out_what_is_not_known(
    tiny_checkpoint: Checkpoint, case: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    found = ablate_messages(tiny_checkpoint, *case, WHOLE, ProgressMonitor())
    assert rank_correlation(found, "weight", "weight") == pytest.approx(1)

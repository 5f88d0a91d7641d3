"""The brain by deepbet's network, and what is said without it."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.heads import MM, head_of
from napari_ciml.errors import InputError
from napari_ciml.inference import deepbet
from napari_ciml.inference.deepbet import deepbet_brain_mask
from napari_ciml.metrics import dice
from napari_ciml.research.phantoms.phantom import make_phantom


@pytest.fixture(autouse=True)
def no_network_is_kept() -> None:
    deepbet._network.cache_clear()


def test_the_network_sees_the_axes_it_has_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        def __init__(self, no_gpu: bool) -> None:
            assert no_gpu

        def run_model(self, image: np.ndarray) -> np.ndarray:
            self.seen = image
            return (image > 5).astype(np.float32)

        def postprocess(self, mask: np.ndarray) -> np.ndarray:
            return mask

    monkeypatch.setitem(sys.modules, "deepbet", SimpleNamespace(BrainExtraction=Stub))
    image = np.zeros((3, 4, 5), np.float32)
    # Low, at the front and at the patient's right: (0, 0, 0) of LPS.
    image[0, 0, 0] = 9
    mask = deepbet_brain_mask(image, (1.0, 1.0, 1.0))
    seen = deepbet._network().seen
    assert seen.shape == (5, 4, 3)
    assert np.argwhere(seen > 5).tolist() == [[4, 3, 0]]
    np.testing.assert_array_equal(mask, image > 5)


def test_without_it_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepbet", None)
    with pytest.raises(InputError, match=r"pip install .napari-ciml\[brain\]"):
        deepbet_brain_mask(np.zeros((3, 4, 5), np.float32), (1.0, 1.0, 1.0))


def test_it_finds_the_brain_of_a_head_and_says_where_there_is_none() -> None:
    pytest.importorskip("deepbet")
    image, brain = head_of(make_phantom("glioma", 0, MM), "T1", 0.02)
    assert dice(deepbet_brain_mask(image, (MM,) * 3), brain) > 0.9
    with pytest.raises(InputError, match="found no brain"):
        deepbet_brain_mask(np.ones_like(image), (MM,) * 3)

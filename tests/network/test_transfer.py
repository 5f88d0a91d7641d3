import torch

from helpers.networks import BRATS, images, network
from napari_ciml.decomposition.edits import restrict_to_modalities, with_role
from napari_ciml.decomposition.model import Decomposition, Pair, Region, Subtask
from napari_ciml.network.transfer import transfer


def test_the_same_decomposition_is_the_same_network() -> None:
    old = network().eval()
    done = transfer(old, BRATS)
    assert done.randomly_initialised == frozenset()
    assert done.untrained == ()
    seen = images(BRATS)
    with torch.no_grad():
        before, after = old(seen), done.network.eval()(seen)
    for name, prediction in before.items():
        torch.testing.assert_close(prediction.logits, after[name].logits)


def test_fewer_modalities_keep_what_they_have() -> None:
    old = network()
    done = transfer(old, restrict_to_modalities(BRATS, ("FLAIR", "T1CE")))
    assert done.untrained == ()
    # Fewer messages reach each gate, so only its attention is new.
    assert done.randomly_initialised
    assert all(".attention." in name for name in done.randomly_initialised)
    torch.testing.assert_close(
        done.network.segmentor("T1CE").output.weight, old.segmentor("T1CE").output.weight
    )


def test_a_new_region_begins_as_the_one_around_it() -> None:
    cyst = Region(name="cyst", labels=(1,), colour="#0000ff")
    task = BRATS.subtask("T2")
    wanted = BRATS.model_copy(
        update={
            "regions": (*BRATS.regions, cyst),
            "subtasks": tuple(
                t if t is not task else t.model_copy(update={"regions": ("WT", "cyst", "TC")})
                for t in BRATS.subtasks
            ),
        }
    ).validated()
    old = network()
    done = transfer(old, wanted)
    assert done.untrained == (Pair("T2", "cyst"),)
    assert done.randomly_initialised == frozenset()
    new, before = done.network.segmentor("T2").output, old.segmentor("T2").output
    for k, j in enumerate((0, 1, 1)):  # WT; cyst from TC, the smaller one around it; TC
        torch.testing.assert_close(new.weight[k], before.weight[j])
        torch.testing.assert_close(new.bias[k], before.bias[j])


def test_another_primary_keeps_every_encoder() -> None:
    old = network()
    row = [task.name for task in BRATS.subtasks].index("T1")
    wanted = with_role(BRATS, row, "T2", "primary")
    wanted = wanted.model_copy(
        update={"subtasks": tuple(t for t in wanted.subtasks if t.name != "T2")}
    )
    joint = next(t.name for t in wanted.subtasks if len(t.primary) == 2)
    done = transfer(old, wanted)
    assert Pair(joint, "TC") in done.untrained
    fresh = {
        name.split(".")[1] for name in done.randomly_initialised if name.startswith("encoders")
    }
    assert fresh == {joint}
    for name in ("FLAIR", "T1CE"):
        for new, before in zip(
            done.network.encoders[name].parameters(), old.encoders[name].parameters(), strict=True
        ):
            torch.testing.assert_close(new, before)


def test_an_extra_modality_is_fresh_and_named() -> None:
    extra = Subtask(primary=("PERF",), regions=("ET",), auxiliaries=("T1CE",))
    wanted = Decomposition(
        name="more",
        modalities=(*BRATS.modalities, "PERF"),
        regions=BRATS.regions,
        subtasks=(*BRATS.subtasks, extra),
    ).validated()
    done = transfer(network(), wanted)
    assert done.untrained == (Pair("PERF", "ET"),)
    assert any(name.startswith("encoders.PERF.") for name in done.randomly_initialised)
    assert not any(name.startswith("encoders.T1.") for name in done.randomly_initialised)
    # Its decoder begins as the one that knows ET best.
    assert not any(name.startswith("segmentors.PERF.ups") for name in done.randomly_initialised)

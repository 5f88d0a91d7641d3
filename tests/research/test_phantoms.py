from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.case import open_case
from napari_ciml.cases.writing import read_label_map
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms import Phantom, PhantomSettings, make_phantom, write_phantoms
from napari_ciml.research.phantoms.anatomy import Anatomy
from napari_ciml.research.phantoms.contrast import ExclusiveModality, hide_region
from napari_ciml.research.phantoms.foci import Focus, draw_foci
from napari_ciml.research.phantoms.protocols import NONSTANDARD, PROTOCOLS
from napari_ciml.research.phantoms.tumour import grow

pytest.importorskip("nilearn")


@pytest.fixture(scope="module")
def gliomas() -> list[Phantom]:
    return [make_phantom("glioma", seed, spacing=3.0) for seed in range(12)]


@pytest.mark.parametrize("kind", ["glioma", "petct"])
def test_the_same_seed_gives_the_same_phantom(kind: str) -> None:
    one, two, other = (make_phantom(kind, seed, spacing=4.0) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.labels, two.labels)
    for name, image in one.images.items():
        np.testing.assert_array_equal(image, two.images[name])
        assert not np.array_equal(image, other.images[name])


def test_glioma_lies_in_the_brain_and_has_brats_labels(gliomas: list[Phantom]) -> None:
    for phantom in gliomas:
        assert set(np.unique(phantom.labels)) <= {0, 1, 2, 4}
        brain = phantom.images["T1"] > 0
        assert (phantom.labels[~brain] == 0).all()
        assert 700 < brain.sum() * phantom.grid.voxel_ml < 2600
        assert all((image[~brain] == 0).all() for image in phantom.images.values())


def mean_where(phantom: Phantom, modality: str, *labels: int) -> float:
    inside = np.isin(phantom.labels, labels)
    if labels == (0,):
        inside &= phantom.images["T1"] > 0
    return float(phantom.images[modality][inside].mean())


def test_contrasts_are_those_of_the_modalities(gliomas: list[Phantom]) -> None:
    """Edema is bright in FLAIR and T2, necrosis dark in T1, the rim bright in T1CE alone."""
    edema = [p for p in gliomas if (p.labels == 2).sum() > 200]
    rim = [p for p in gliomas if (p.labels == 4).sum() > 60]
    assert len(edema) > 5
    assert len(rim) > 3
    for name in ("FLAIR", "T2"):
        assert np.mean([mean_where(p, name, 2) > mean_where(p, name, 0) for p in edema]) > 0.7
    core = [p for p in gliomas if (p.labels == 1).sum() > 100]
    assert np.mean([mean_where(p, "T1", 1) < mean_where(p, "T1", 0) for p in core]) > 0.7
    gain = [mean_where(p, "T1CE", 4) / mean_where(p, "T1CE", 0) for p in rim]
    plain = [mean_where(p, "T1", 4) / mean_where(p, "T1", 0) for p in rim]
    assert np.mean(np.array(gain) > np.array(plain)) > 0.9


def test_physiological_uptake_is_not_labelled() -> None:
    phantom = make_phantom("petct", 1, spacing=4.0)
    hot = phantom.images["PET"] > 2.5
    assert hot[phantom.labels == 0].any()
    assert phantom.images["PET"][phantom.labels == 1].mean() > 1.5
    assert -1100 < phantom.images["CT"].min() < -900


@pytest.mark.parametrize("kind", ["glioma", "petct"])
def test_written_cases_are_read_back(kind: str, tmp_path: Path) -> None:
    write_phantoms(tmp_path, PhantomSettings(kind, 4.0), 1, 3, ProgressMonitor())
    folder = tmp_path / f"{kind}_0003"
    phantom = make_phantom(kind, 3, spacing=4.0)
    case = open_case(folder)
    assert set(case.images) == set(phantom.images)
    assert case.grid.is_close(phantom.grid)
    labels = read_label_map(folder / f"{kind}_0003_seg.nii.gz", case)
    np.testing.assert_array_equal(labels, phantom.labels)
    assert "seed: 3" in (tmp_path / "dataset.yaml").read_text()


def test_a_share_of_the_phantoms_is_carried_by_one_modality(tmp_path: Path) -> None:
    write_phantoms(tmp_path, PhantomSettings("glioma", 8.0, exclusive=1.0), 3, 0, ProgressMonitor())
    assert "exclusive: 1.0" in (tmp_path / "dataset.yaml").read_text()
    found = set()
    for seed in range(3):
        case = open_case(tmp_path / f"glioma_{seed:04d}")
        plain = make_phantom("glioma", seed, 8.0)
        # The modality that carries it, and those of the same draw, are as they would have been.
        same = {
            name
            for name, image in case.images.items()
            if np.allclose(image, plain.images[name], atol=1)
        }
        assert len(same) == 1
        found |= same
    assert len(found) > 1


def test_another_protocol_changes_one_modality_alone() -> None:
    plain, other = (make_phantom("glioma", 0, 4.0, protocol=p) for p in ("standard", "t1-flair"))
    np.testing.assert_array_equal(other.labels, plain.labels)
    for name in ("T1", "T1CE", "T2"):
        np.testing.assert_array_equal(other.images[name], plain.images[name])
    seen = [mean_where(p, "FLAIR", 2) / mean_where(p, "FLAIR", 0) for p in (plain, other)]
    assert seen[1] < 0.8 * seen[0]


@pytest.mark.parametrize("protocol", NONSTANDARD)
def test_protocols_scan_the_same_brain_and_tumour(protocol: str) -> None:
    usual, other = (make_phantom("glioma", 0, 4.0, protocol=p) for p in ("standard", protocol))
    np.testing.assert_array_equal(other.labels, usual.labels)
    for name in PROTOCOLS[protocol].signals or usual.images:
        seen = [phantom.images[name][usual.labels > 0] for phantom in (usual, other)]
        assert np.corrcoef(*seen)[0, 1] < 0.999


def test_protocols_look_as_they_are_said_to() -> None:
    def ratio(protocol: str, name: str, above: int, below: int) -> float:
        made = make_phantom("glioma", 0, 4.0, protocol=protocol)
        return mean_where(made, name, above) / mean_where(made, name, below)

    # Enhancing tumour beside everything healthy: in a subtraction it stands alone.
    assert ratio("subtraction", "T1CE", 4, 0) > 2 * ratio("standard", "T1CE", 4, 0)
    assert ratio("pd", "T2", 2, 0) < ratio("standard", "T2", 2, 0)
    assert ratio("post-flair", "FLAIR", 4, 0) > 1.1 * ratio("standard", "FLAIR", 4, 0)
    assert ratio("dir", "FLAIR", 2, 0) > ratio("standard", "FLAIR", 2, 0)


def test_low_field_is_noisy_and_thick_sliced() -> None:
    def roughness(protocol: str, axis: int) -> float:
        image = make_phantom("glioma", 3, 2.0, protocol=protocol).images["T1"]
        inside = image > 0
        steps = np.diff(image, axis=axis)[np.diff(inside.astype(int), axis=axis) == 0]
        return float(np.std(steps) / image[inside].mean())

    assert roughness("low-field", 2) > 1.5 * roughness("standard", 2)


def test_unknown_kind() -> None:
    with pytest.raises(InputError, match="no phantom of kind"):
        make_phantom("kidney", 0)


def test_a_region_that_one_modality_carries_is_hidden_in_the_others() -> None:
    plain = make_phantom("glioma", 3, 4.0)
    for region, kept in (("WT", "FLAIR"), ("TC", "T1CE"), ("ET", "T1CE")):
        carried = make_phantom("glioma", 3, 4.0, exclusive=ExclusiveModality(region, kept))
        np.testing.assert_array_equal(carried.labels, plain.labels)
        np.testing.assert_array_equal(carried.images[kept], plain.images[kept])
        for name in set(plain.images) - {kept}:
            assert not np.allclose(carried.images[name], plain.images[name], rtol=0.05)


def test_a_core_that_is_hidden_does_not_stand_out_of_the_edema_around_it() -> None:
    stands_out = []
    for seed in (500003, 500011, 500031, 500039):
        made = make_phantom("glioma", seed, 4.0, exclusive=ExclusiveModality("TC", "T1CE"))
        core, edema = np.isin(made.labels, (1, 4)), made.labels == 2
        for name in ("FLAIR", "T1", "T2"):
            inside, around = made.images[name][core], made.images[name][edema]
            spread = np.sqrt((inside.var() + around.var()) / 2)
            stands_out.append(abs(inside.mean() - around.mean()) / spread)
    assert np.mean(stands_out) < 0.6


@pytest.mark.parametrize(
    ("region", "gone", "whole"),
    [
        ("WT", {"edema", "necrosis", "solid", "enhancing"}, {"white", "grey", "fluid"}),
        ("TC", {"necrosis", "solid", "enhancing"}, {"edema", "white", "grey", "fluid"}),
        ("ET", {"enhancing"}, {"solid"}),
    ],
)
def test_what_hides_a_region_takes_its_place(region: str, gone: set[str], whole: set[str]) -> None:
    rng = np.random.default_rng(0)
    parts = rng.dirichlet(np.ones(7), (4, 4, 4)).astype(np.float32)
    names = ("necrosis", "solid", "enhancing", "edema", "white", "grey", "fluid")
    shares = {name: parts[..., k] for k, name in enumerate(names)}
    tissue = rng.dirichlet(np.ones(3), (4, 4, 4)).astype(np.float32)
    nothing = np.zeros((4, 4, 4), bool)
    anatomy = Anatomy(tissue[..., 0], tissue[..., 1], tissue[..., 2], nothing, ~nothing)
    found = hide_region(shares, anatomy, region)
    assert {name for name, share in found.items() if not share.any()} == gone
    np.testing.assert_allclose(sum(found.values()), 1, atol=1e-5)
    untouched = set(names) - gone - whole
    assert all(np.array_equal(found[name], shares[name]) for name in untouched)


def test_a_composite_tumour_is_foci_of_several_kinds_that_touch() -> None:
    depth = np.full((60, 60, 60), 30.0, np.float32)
    kinds = set()
    for seed in range(20):
        foci = draw_foci(np.random.default_rng(seed), "composite", depth, 3.0)
        kinds |= {focus.kind for focus in foci}
        for k, focus in enumerate(foci[1:], start=1):
            gaps = [
                np.linalg.norm(focus.centre - other.centre) * 3.0 - focus.core - other.core
                for other in foci[:k]
            ]
            assert min(gaps) < 0
    assert {"ring", "mixed", "solid", "cyst", "low-grade"} <= kinds


def test_edema_reaches_farther_where_it_leans() -> None:
    shape = (48, 48, 48)
    white = np.full(shape, 0.55, np.float32)
    nothing = np.zeros(shape, np.float32)
    anatomy = Anatomy(white, 1 - white, nothing, nothing, np.ones(shape, bool))
    centre = np.full(3, 23.5, np.float32)
    focus = Focus("ring", centre, 20.0, 30.0, np.array([0, 0, 14.0], np.float32))
    tumour = grow(np.random.default_rng(0), [focus], anatomy, 2.0)
    edema = np.argwhere(tumour.labels == 2)[:, 2]
    assert (edema > 23.5).sum() > 1.5 * (edema < 23.5).sum()
    assert {1, 2, 4} <= set(np.unique(tumour.labels))

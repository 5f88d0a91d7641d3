import pytest

from napari_ciml.cases.modality_names import is_label_map_name, modalities_in_name

CLAIMS = {
    "BraTS20_Training_001_flair": "FLAIR",
    "BraTS20_Training_001_t1": "T1",
    "BraTS20_Training_001_t1ce": "T1CE",
    "BraTS20_Training_001_t2": "T2",
    "BraTS-GLI-00001-000-t2f": "FLAIR",
    "BraTS-GLI-00001-000-t1n": "T1",
    "BraTS-GLI-00001-000-t1c": "T1CE",
    "BraTS-GLI-00001-000-t2w": "T2",
    "TCGA-DU-7294_fla": "FLAIR",
    "patient_t1gd": "T1CE",
    "T1c_subtrMeanDivStd": "T1CE",
    "Flair_subtrMeanDivStd": "FLAIR",
    "T2-FLAIR": "FLAIR",
    "T2Flair": "FLAIR",
    "sub-01_T1w": "T1",
    "T1-post": "T1",
    "T1post": "T1CE",
    "CTres": "CT",
    "SUV": "PET",
    "CHUM-001__CT": "CT",
    "CHUM-001__PT": "PET",
    "PET": "PET",
}


@pytest.mark.parametrize("name", CLAIMS)
def test_names_in_use(name: str) -> None:
    assert modalities_in_name(name) == (CLAIMS[name],)


@pytest.mark.parametrize("name", ["patient1", "scan", "t10", "direct1ce", "petrov", "contract"])
def test_a_name_that_claims_nothing(name: str) -> None:
    assert modalities_in_name(name) == ()


def test_two_claims_are_two() -> None:
    assert modalities_in_name("case_t1_t2") == ("T1", "T2")
    assert set(modalities_in_name("ct_on_pet")) == {"CT", "PET"}


@pytest.mark.parametrize(
    "name", ["case_seg", "brainmask", "OTMultiClass", "x_fusion_mav", "label3"]
)
def test_references_are_no_images(name: str) -> None:
    assert is_label_map_name(name)


def test_an_image_is_no_reference() -> None:
    assert not any(is_label_map_name(name) for name in CLAIMS)

import pytest

from napari_ciml.cases.dicom.series_kind import recognise_series

ORIGINAL = ("ORIGINAL", "PRIMARY", "M", "ND")

NAMED = {
    "AX T2 FLAIR": "FLAIR",
    "t2_tirm_tra_dark-fluid": "FLAIR",
    "3D FLAIR SAG CUBE": "FLAIR",
    "T2_FLAIR_AX_FS": "FLAIR",
    "AX T1": "T1",
    "t1_mprage_sag_iso": "T1",
    "SAG T1 PRE": "T1",
    "AX T1 PRE-CONTRAST": "T1",
    "T1 w/o": "T1",
    "AX T1 POST": "T1CE",
    "AX T1 +C": "T1CE",
    "t1_mpr_tra_KM": "T1CE",
    "t1_tse_tra_Gd": "T1CE",
    "T1 GAD": "T1CE",
    "SAG T1 MPRAGE POST-CONTRAST": "T1CE",
    "t1ce": "T1CE",
    "AX T2 TSE": "T2",
    "T2W_TSE": "T2",
}
ELSE = {
    "ep2d_diff_3scan_trace_p2": "diffusion",
    "AX DWI b1000": "diffusion",
    "ADC (10^-6 mm2/s)": "apparent diffusion",
    "3-plane loc": "localiser",
    "localizer": "localiser",
    "Survey": "localiser",
    "ep2d_perf_DSC": "perfusion",
    "SWI_Images": "susceptibility",
    "AX T2* GRE": "susceptibility",
    "TOF 3D multi-slab": "angiogram",
    "rCBV": "perfusion",
    "AX STIR": "STIR",
    "AX PD": "proton",
    "T1 SUB": "subtraction",
    "something": "nothing that its name",
}


@pytest.mark.parametrize("name", NAMED)
def test_descriptions_in_use(name: str) -> None:
    found = recognise_series({"Modality": "MR", "SeriesDescription": name}, ORIGINAL, None)
    assert (found.modality, found.reason) == (NAMED[name], "")


@pytest.mark.parametrize("name", ELSE)
def test_series_that_no_decomposition_asks_for(name: str) -> None:
    found = recognise_series({"Modality": "MR", "SeriesDescription": name}, ORIGINAL, None)
    assert found.modality is None
    assert ELSE[name] in found.reason


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((9000, 120, 2500), "FLAIR"),
        ((4000, 100, None), "T2"),
        ((550, 12, None), "T1"),
        ((2300, 3, 900), "T1"),
        ((3000, 15, None), None),
    ],
)
def test_times_speak_where_names_do_not(times: tuple, expected: str | None) -> None:
    tags = dict(zip(("RepetitionTime", "EchoTime", "InversionTime"), times, strict=True))
    tags |= {"Modality": "MR", "SeriesDescription": "AX"}
    assert recognise_series(tags, ORIGINAL, times[1]).modality == expected
    if expected == "T1":
        assert (
            recognise_series(tags | {"ContrastBolusAgent": "GADAVIST"}, ORIGINAL, 9).modality
            == "T1CE"
        )
        assert recognise_series(tags | {"ContrastBolusAgent": "NONE"}, ORIGINAL, 9).modality == "T1"


def test_names_that_times_correct() -> None:
    """GE's T1 FLAIR is T1, a T2-named inversion recovery with suppressed fluid is FLAIR."""
    flair = {"Modality": "MR", "SeriesDescription": "AX T1 FLAIR", "InversionTime": 800}
    assert recognise_series(flair, ORIGINAL, 22.0).modality == "T1"
    assert recognise_series(
        flair | {"SeriesDescription": "T2 IR", "InversionTime": 2200}, ORIGINAL, 110.0
    )
    both = {"Modality": "MR", "SeriesDescription": "PD/T2 dual echo T2"}
    assert (
        recognise_series(both | {"SeriesDescription": "DUAL T2"}, ORIGINAL, 100.0).modality == "T2"
    )
    assert (
        recognise_series(both | {"SeriesDescription": "DUAL T2"}, ORIGINAL, 15.0).modality is None
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (("DERIVED", "PRIMARY", "DIFFUSION", "ADC"), "apparent diffusion"),
        (("ORIGINAL", "PRIMARY", "LOCALIZER"), "localiser"),
        (("ORIGINAL", "PRIMARY", "M", "MOSAIC"), "mosaic"),
        (("DERIVED", "SECONDARY", "SUBTRACTION"), "subtraction"),
        (("ORIGINAL", "PRIMARY", "P", "ND"), "phase"),
    ],
)
def test_image_types(kind: tuple[str, ...], reason: str) -> None:
    found = recognise_series({"Modality": "MR", "SeriesDescription": "T1 ax"}, kind, None)
    assert found.modality is None
    assert reason in found.reason


def test_pet_and_ct() -> None:
    pet = {"Modality": "PT", "SeriesDescription": "WB", "CorrectedImage": ("ATTN", "DECY")}
    assert recognise_series(pet, ORIGINAL, None).modality == "PET"
    bare = recognise_series(pet | {"CorrectedImage": ("DECY",)}, ORIGINAL, None)
    assert bare.reason == "not corrected for attenuation"
    assert (
        recognise_series(pet | {"SeriesType": ("STATIC", "REPROJECTION")}, (), None).modality
        is None
    )
    ct = {"Modality": "CT", "SeriesDescription": "CT WB 3.0"}
    assert recognise_series(ct, ("ORIGINAL", "PRIMARY", "AXIAL"), None).modality == "CT"
    assert recognise_series(ct, ("ORIGINAL", "PRIMARY", "LOCALIZER"), None).reason == "localiser"
    assert recognise_series({"Modality": "SEG"}, (), None).reason == "a segmentation"

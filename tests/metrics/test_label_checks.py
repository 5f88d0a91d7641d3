import numpy as np
import pytest

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.metrics.label_checks import check_labels, format_anatomical

REGIONS = LABEL_CONVENTIONS["brats2020"]
GRID = Grid((30, 30, 30), (1.0, 1.0, 2.0), (-10.0, -20.0, -30.0))


def tumour() -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5:20, 5:20, 5:20] = 2
    labels[8:16, 8:16, 8:16] = 1
    labels[9:15, 9:15, 9:15] = 4
    labels[10:14, 10:14, 10:14] = 1
    return labels


def mended(labels: np.ndarray) -> np.ndarray:
    result = labels.copy()
    for fault in check_labels(labels, REGIONS, GRID, 0.05):
        if fault.value is not None:
            result[fault.where] = fault.value
    return result


def test_a_sound_tumour_has_no_faults() -> None:
    """Necrosis inside a ring of enhancement is no hole."""
    assert check_labels(tumour(), REGIONS, GRID, 0.05) == ()
    assert check_labels(tumour() * 0, REGIONS, GRID, 0.05) == ()


@pytest.mark.parametrize(
    ("where", "value", "sentence", "becomes"),
    [
        ((25, 25, 25), 2, "WT: small component of 1 voxel (0.002 mL) at 15 L, 5 P, 20 S mm.", 0),
        ((25, 25, 25), 4, "WT: small component of 1 voxel (0.002 mL) at 15 L, 5 P, 20 S mm.", 0),
        ((6, 6, 6), 4, "TC: small component of 1 voxel (0.002 mL) at 4 R, 14 A, 18 I mm.", 2),
        ((12, 12, 12), 4, "ET: small component of 1 voxel (0.002 mL) at 2 L, 8 A, 6 I mm.", 1),
        ((6, 6, 6), 0, "WT: hole of 1 voxel (0.002 mL) at 4 R, 14 A, 18 I mm.", 2),
        ((12, 12, 12), 2, "TC: hole of 1 voxel (0.002 mL) at 2 L, 8 A, 6 I mm.", 1),
        ((12, 12, 12), 0, "WT: hole of 1 voxel (0.002 mL) at 2 L, 8 A, 6 I mm.", 1),
    ],
)
def test_each_fault_is_found_once_and_mended(
    where: tuple[int, int, int], value: int, sentence: str, becomes: int
) -> None:
    labels = tumour()
    labels[where] = value
    faults = check_labels(labels, REGIONS, GRID, 0.05)
    assert faults[0].sentence == sentence
    assert faults[0].voxel == where
    assert faults[0].value == becomes
    assert len(faults) == 1
    assert mended(labels)[where] == becomes


def test_a_label_of_no_region() -> None:
    labels = tumour()
    labels[6, 6, 6] = 7
    (fault,) = check_labels(labels, REGIONS, GRID, 0.05)
    assert fault.sentence.startswith("Label 7 belongs to no region: 1 voxel")
    labels[fault.where] = fault.value
    assert labels[6, 6, 6] == 0  # which is a hole now, and found as one


def test_enhancement_without_context_is_the_users_to_decide() -> None:
    labels = tumour()
    labels[23:29, 23:29, 23:29] = 4
    (fault,) = check_labels(labels, REGIONS, GRID, 0.05)
    assert fault.sentence.startswith("ET outside of WT: 216 voxels (0.432 mL)")
    assert fault.value is None
    labels[22, 23, 23] = 2
    assert check_labels(labels, REGIONS, GRID, 0.05) == ()


def test_the_only_component_is_no_speck() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[0, 0, 0] = 2
    assert check_labels(labels, REGIONS, GRID, 0.05) == ()
    labels[20, 20, 20] = 2
    assert len(check_labels(labels, REGIONS, GRID, 0.05)) == 2


def test_places_in_words() -> None:
    assert format_anatomical(np.array([-12.4, 30.0, -0.6])) == "12 R, 30 P, 1 I mm"

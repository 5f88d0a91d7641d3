from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from helpers.cases import write_case
from helpers.gui import wait_until
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError
from napari_ciml.paths import sample_data
from napari_ciml.widgets.contributions import get_reader, sample_glioma, sample_petct, write_labels
from napari_ciml.widgets.workbench import Workbench


def test_a_volume_keeps_its_place(case_folder: Path) -> None:
    path = case_folder / "case_t1.nii.gz"
    ((array, attributes, kind),) = get_reader(str(path))(str(path))
    case = open_case(case_folder)
    assert kind == "image"
    np.testing.assert_array_equal(array, case.images["T1"])
    assert attributes["scale"] == case.grid.scale
    assert attributes["translate"] == case.grid.translate


def test_a_case_folder_becomes_its_modalities(case_folder: Path) -> None:
    layers = get_reader(str(case_folder))(str(case_folder))
    assert [attributes["name"] for _, attributes, _ in layers] == ["FLAIR", "T1", "T1CE", "T2"]


def test_napari_opens_a_case_folder_with_it(desk: Workbench, case_folder: Path) -> None:
    layers = desk.viewer.open(str(case_folder), plugin="napari-ciml")
    assert [layer.name for layer in layers] == ["FLAIR", "T1", "T1CE", "T2"]
    assert {str(unit) for layer in layers for unit in layer.units} == {"millimeter"}


def test_other_folders_and_files_are_left_to_others(tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None
    write_case(tmp_path, Grid((8, 8, 8), (1.0,) * 3, (0.0,) * 3), names="scan1 scan2")
    assert get_reader(str(tmp_path)) is None
    assert get_reader("picture.png") is None
    assert get_reader(["a.nii", "b.nii"]) is None


@pytest.mark.parametrize("sample", [sample_glioma, sample_petct])
def test_samples(sample: Callable[[], list[Any]]) -> None:
    viewer = ViewerModel()
    for layer in sample():
        viewer.add_image(layer[0], **layer[1])
    assert len(viewer.layers) in (2, 4)


def test_labels_of_ours_are_written_on_the_native_grid(
    desk: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = write_case(tmp_path / "case", Grid((40, 36, 32), (3.0,) * 3, (-50.0, -50.0, -40.0)))
    for path in folder.iterdir():
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS"), str(path))
    desk.case.open(folder)
    wait_until(qtbot, lambda: desk.session.model.case is not None)
    desk.segment.run.click()
    wait_until(qtbot, lambda: desk.session.model.segmentation is not None)
    layer = desk.viewer.layers["segmentation"]
    layer.save(str(tmp_path / "out.nii.gz"), plugin="napari-ciml")
    written = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    native = Grid.of(sitk.ReadImage(str(folder / "case_flair.nii.gz")))
    assert Grid.of(written) == native
    back = sitk.GetArrayFromImage(sitk.DICOMOrient(written, "LPS"))
    np.testing.assert_array_equal(back, layer.data)


def test_other_labels_are_written_where_they_are(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), int)
    labels[1, 2, 3] = 700
    path = str(tmp_path / "labels.nrrd")
    meta = {"scale": (3.0, 2.0, 1.0), "translate": (30.0, 20.0, 10.0), "metadata": {}}
    assert write_labels(path, labels, meta) == [path]
    image = sitk.ReadImage(path)
    assert image.GetSpacing() == (1.0, 2.0, 3.0)
    assert image.GetOrigin() == (10.0, 20.0, 30.0)
    assert sitk.GetArrayFromImage(image)[1, 2, 3] == 700
    with pytest.raises(InputError, match="has 2 dimensions"):
        write_labels(path, labels[0], meta)


def test_sample_folders_ship() -> None:
    assert (sample_data() / "glioma").is_dir()
    assert (sample_data() / "petct").is_dir()

import pickle
from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.datasets import LabelledCase, find_cases
from napari_ciml.errors import CancelledError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import load_cohort
from napari_ciml.training.settings import TrainSettings


def test_a_case_is_prepared_once(
    data: Path, settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = LabelledCase.open

    def spy(case: LabelledCase, modalities: tuple[str, ...]) -> object:
        opened.append(case.name)
        return read(case, modalities)

    monkeypatch.setattr(LabelledCase, "open", spy)
    cases = find_cases(data)
    first = load_cohort(cases[:2], settings, tmp_path, ProgressMonitor(), workers=2)
    second = load_cohort(cases, settings, tmp_path, ProgressMonitor())
    assert sorted(opened) == [case.name for case in cases]
    np.testing.assert_array_equal(first[1].images, second[1].images)
    assert isinstance(first[0].images, np.memmap)
    assert not any(case.name in str(path) for case in cases for path in tmp_path.rglob("*"))
    load_cohort(
        cases, settings.model_copy(update={"spacing": (9.0,) * 3}), tmp_path, ProgressMonitor()
    )
    assert len(opened) == 8


def test_another_process_is_given_a_path_not_the_voxels(
    data: Path, settings: TrainSettings, tmp_path: Path
) -> None:
    (case,) = load_cohort(find_cases(data)[:1], settings, tmp_path, ProgressMonitor())
    sent = pickle.dumps(case)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).images, case.images)


def test_cancel_leaves_no_half_case(data: Path, settings: TrainSettings, tmp_path: Path) -> None:
    monitor = ProgressMonitor(report=lambda _: monitor.stop.set())
    with pytest.raises(CancelledError):
        load_cohort(find_cases(data), settings, tmp_path, monitor)
    whole = load_cohort(find_cases(data), settings, tmp_path, ProgressMonitor())
    assert len(whole) == 4
    assert not list(tmp_path.glob(".*"))

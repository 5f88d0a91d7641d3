"""What the command line does with images that show the skull."""

import argparse
from dataclasses import replace

import numpy as np
import pytest

from napari_ciml.cases import skull_stripping
from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cli.options import _skull_strip
from napari_ciml.cli.segment_command import add_arguments
from napari_ciml.inference.deepbet import deepbet_brain_mask
from napari_ciml.progress import ProgressMonitor

GRID = Grid((4, 4, 4), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
HEAD = Case("case", {"T1": np.zeros((4, 4, 4), np.float32)}, GRID, "T1", GRID, {})


@pytest.mark.parametrize("choice", [None, "off", "auto", "deep"])
def test_skull_is_said_ignored_or_removed(choice: str | None, monkeypatch) -> None:
    monkeypatch.setattr(skull_stripping, "modalities_with_skull", lambda _: ("T1",))
    mask = np.ones((4, 4, 4), bool)
    asked: list[object] = []

    def found(case: Case, _: ProgressMonitor, find: object) -> Case:
        asked.append(find)
        return replace(case, brain=mask)

    monkeypatch.setattr(skull_stripping, "skull_strip", found)
    said: list[str] = []
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["case", "-o", "out", *(["--brain-mask", choice] if choice else [])]
    case = _skull_strip(
        HEAD, parser.parse_args(words).brain_mask, ProgressMonitor(notify=said.append)
    )
    finders = {"auto": [skull_stripping.brain_mask], "deep": [deepbet_brain_mask]}
    assert asked == finders.get(choice or "", [])
    assert (case is HEAD) == (not asked)
    assert ("brain mask (1 mL)" in "".join(said)) == bool(asked)
    assert bool(said) == (choice != "off")
    if choice is None:
        assert len(said) == 1
        assert "--brain-mask auto" in said[0]

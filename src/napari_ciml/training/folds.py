"""Cross-validation folds, recorded in a file."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.errors import InputError
from napari_ciml.files import write_json

FOLDS = "folds.json"


def split(
    cases: Sequence[LabelledCase], count: int, seed: int, folder: Path
) -> list[list[LabelledCase]]:
    """Split cases into folds at random, or read the split from the file of an earlier run.

    Parameters
    ----------
    cases : sequence of LabelledCase
        The cohort.
    count : int
        Number of folds, at least 2.
    seed : int
        Seed of the random split.
    folder : pathlib.Path
        Folder of ``folds.json``, which identifies cases by their key, not by their name.

    Returns
    -------
    list of list of LabelledCase
        Validation cases of each fold.

    Raises
    ------
    InputError
        If there are fewer cases than folds, or the file lists other cases.
    """
    if len(cases) < count:
        raise InputError(f"{len(cases)} cases cannot make {count} folds; use fewer folds.")
    path = folder / FOLDS
    by_key = {case.key: case for case in cases}
    if not path.is_file():
        order = np.random.default_rng(seed).permutation(len(cases))
        drawn = [sorted(cases[k].key for k in order[fold::count]) for fold in range(count)]
        write_json(path, {"seed": seed, "validation": drawn})
    keys = json.loads(path.read_text(encoding="utf-8"))["validation"]
    if len(keys) != count or {key for fold in keys for key in fold} != by_key.keys():
        raise InputError(f"{path}: lists other cases or folds; choose another folder.")
    return [[by_key[key] for key in fold] for fold in keys]

"""Whatever a file holds, a reader answers: with what it holds, or with one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.corrupt_files import make_sources, source_of

MANY = int(os.environ.get("CIML_MUTANTS", "330"))
"""How many damaged files are read; some thousand before a release."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    make_sources(folder)
    return folder


def test_damaged_files_are_answered_with_one_sentence(sound: Path) -> None:
    script = [sys.executable, "-m", "helpers.corrupt_files", str(sound)]
    wrong, first = [], 0
    while first < MANY:
        done = subprocess.run(
            [*script, str(first), str(MANY - first)],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        lines = done.stdout.splitlines()
        assert lines, done.stderr
        wrong += [json.loads(line) for line in lines if line.startswith("[")]
        if done.returncode == 0:
            break
        last = int([line for line in lines if not line.startswith("[")][-1])
        wrong.append([last, source_of(last), f"ended by {done.returncode}"])
        first = last + 1
    assert not wrong, "\n".join(map(str, wrong))

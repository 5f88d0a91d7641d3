import re
import subprocess
import sys
import zipfile
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from npe2 import PluginManifest

from helpers.paths import ROOT
from napari_ciml import paths

TOP = ROOT / "napari.yaml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "-o",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_packaged_manifest_is_the_one_at_the_top(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("napari_ciml/napari.yaml") == TOP.read_bytes()
    assert wheel.namelist().count("napari_ciml/napari.yaml") == 1
    assert (ROOT / "src" / "napari_ciml" / "napari.yaml").resolve() == TOP


def test_the_wheel_has_samples_and_types(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for path in (ROOT / "sample_data").rglob("*"):
        if path.is_file():
            assert f"napari_ciml/sample_data/{path.relative_to(ROOT / 'sample_data')}" in names
    assert "napari_ciml/py.typed" in names
    text, _ = paths.faithfulness_report()
    shown = re.findall(r"!\[.*?\]\((.*?)\)", text)
    folder = "napari_ciml/docs/explanation"
    assert {f"{folder}/faithfulness.md", *(f"{folder}/{image}" for image in shown)} <= names


def test_the_manifest_is_valid_and_found() -> None:
    (found,) = entry_points(group="napari.manifest", name="napari-ciml")
    assert found.value == "napari_ciml:napari.yaml"
    manifest = PluginManifest.from_distribution("napari-ciml")
    assert manifest.display_name == "CIML"
    assert len(manifest.contributions.widgets) >= 4


def test_every_command_of_the_manifest_can_be_imported() -> None:
    manifest = PluginManifest.from_file(TOP)
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(import_module(module), name))


def test_samples_are_found_in_the_package_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.sample_data() == ROOT / "sample_data"
    (tmp_path / "sample_data").mkdir()
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path)
    assert paths.sample_data() == tmp_path / "sample_data"

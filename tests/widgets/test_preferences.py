"""What is set under napari's preferences is there the next time; each step a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ASK = (
    "from napari_ciml.widgets.preferences import default_device, default_engine\n"
    "print(default_device(), default_engine())\n"
)
SET = (
    "from napari.settings import get_plugin_settings\n"
    "get_plugin_settings('napari-ciml').start.device = 'cpu'\n"
)

MANIFESTS = "import npe2; print(len(list(npe2.PluginManager.instance().iter_manifests())))"


def test_what_is_set_is_begun_with_and_nothing_is_read_before(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    assert _run(ASK + MANIFESTS, settings) == "auto auto 0"
    _run(SET, settings)
    assert _run(ASK, settings) == "cpu auto"


def _run(script: str, settings: Path) -> str:
    environment = os.environ | {"NAPARI_CONFIG": str(settings)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())

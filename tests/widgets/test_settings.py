"""What is set under napari's preferences is there the next time; each step a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.settings import get_settings

from napari_ciml.widgets.workbench import add_dock_widgets

ASK = (
    "from napari_ciml.widgets.settings import default_device, default_engine\n"
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


def test_napari_writes_its_settings_once_for_all_docks(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, written = make_napari_viewer(show=False), []
    settings = get_settings()
    monkeypatch.setattr(settings, "config_path", tmp_path / "settings.yaml")
    monkeypatch.setattr(type(settings), "save", lambda _: written.append(1))
    desk = add_dock_widgets(viewer)
    assert len(written) == 1
    assert settings.application.plugin_widget_positions["Case (CIML)"] == "right"
    settings.application.plugin_widget_positions = {}
    assert len(written) == 2
    desk.session.close()

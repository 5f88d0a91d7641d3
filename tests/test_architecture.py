"""The rules of the house: layers look down only, and heavy things are imported late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "src" / "napari_ciml"
GUI = {"qtpy", "napari", "magicgui", "PyQt6", "PySide6"}

# Each floor may use those below it, and itself.
FLOORS = (
    {"errors", "progress", "files", "paths", "parallel"},
    {"decomposition"},
    {"cases"},
    {"metrics"},
    {"network"},
    {"inference"},
    {"explanation"},
    {"lesions", "training", "export", "session"},
    {"widgets.jobs", "widgets.event_loop", "widgets.gc_tuning", "widgets.settings"},
    {"widgets.layers"},
    {"widgets.display"},
    {"widgets.controllers"},
    {"widgets.panels"},
    {"widgets.docks"},
    {"widgets"},
    {"research"},
    {"cli"},
)


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def floor_of(module: str) -> int | None:
    name = module.removeprefix("napari_ciml").lstrip(".")
    fitting = [
        (len(room), k)
        for k, rooms in enumerate(FLOORS)
        for room in rooms
        if name == room or name.startswith(f"{room}.")
    ]
    return max(fitting)[1] if fitting else None


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers_look_down_only(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    own = floor_of("napari_ciml." + ".".join(parts))
    names = imported(path)
    if own is not None:
        for name in (n for n in names if n.startswith("napari_ciml.")):
            below = floor_of(name)
            # What ships is found by what it can serve, which the plan says.
            if "paths" in parts and name.startswith(
                ("napari_ciml.inference", "napari_ciml.network")
            ):
                continue
            assert below is None or below <= own, f"{path.name} looks up to {name}"
    if "widgets" not in parts and "doctor" not in parts:
        assert not {name.split(".")[0] for name in names} & GUI


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in sources()
        if {"cases", "metrics", "decomposition"} & set(p.parts) or p.parent == PACKAGE
    ],
    ids=lambda p: p.name,
)
def test_no_torch_below_the_network(path: Path) -> None:
    if path.stem in ("agreement",):
        pytest.skip("imports it inside a function")
    assert "torch" not in {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("napari_ciml", ("torch", "napari", "SimpleITK", "numpy")),
        ("napari_ciml.cli.main", ("torch", "napari", "SimpleITK", "monai")),
        ("napari_ciml.session.model", ("torch", "napari", "qtpy", "monai")),
        ("napari_ciml.widgets.workbench", ("torch", "SimpleITK", "pydicom", "matplotlib.pyplot")),
    ],
)
def test_heavy_imports_come_late(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*(n for n in {heavy!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

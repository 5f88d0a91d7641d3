"""Architecture: layers import downwards, without circles; heavy packages are imported late."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "src" / "napari_ciml"
GUI = {"qtpy", "napari", "magicgui", "PyQt6", "PySide6"}

MAX_LINES = 400

# Each layer may import those below it, and itself.
LAYERS = (
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


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Return all imported modules, those in functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def imported_on_loading(node: ast.AST) -> set[str]:
    """Return modules imported outside of functions, those under TYPE_CHECKING included."""
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Import):
            names |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            names |= {child.module, *(f"{child.module}.{alias.name}" for alias in child.names)}
        names |= imported_on_loading(child)
    return names


def layer_of(module: str) -> int | None:
    name = module.removeprefix("napari_ciml").lstrip(".")
    matches = [
        (len(package), level)
        for level, packages in enumerate(LAYERS)
        for package in packages
        if name == package or name.startswith(f"{package}.")
    ]
    return max(matches)[1] if matches else None


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers_import_downwards_only(path: Path) -> None:
    layer, names = layer_of(module_name(path)), imported(path)
    if layer is not None:
        for name in (n for n in names if n.startswith("napari_ciml.")):
            other = layer_of(name)
            assert other is None or other <= layer, f"{path.name} imports {name}, a layer above"
    if "widgets" not in path.relative_to(PACKAGE).parts and path.stem != "doctor":
        assert not {name.split(".")[0] for name in names} & GUI


def test_no_import_circles() -> None:
    trees = {module_name(p): ast.parse(p.read_text(encoding="utf-8")) for p in sources()}
    imports = {
        name: {other for other in imported_on_loading(tree) & trees.keys() if other != name}
        # A package's own __init__ is imported by every module in it.
        - {name.rpartition(".")[0]}
        for name, tree in trees.items()
    }
    sorter = TopologicalSorter(imports)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


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

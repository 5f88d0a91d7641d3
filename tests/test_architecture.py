"""Layers import only from below, without circles, and large packages are imported late."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from helpers.paths import ROOT

SOURCE = ROOT / "src"
MAX_LINES = 400
GUI = {"qtpy", "napari", "magicgui", "PyQt6", "PySide6", "superqt"}

# A module may import from its own layer and from those above it in this list.
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
LAYER_OF = {package: index for index, layer in enumerate(LAYERS) for package in layer}


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of the package by name."""
    parsed = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        parsed[name] = ast.parse(path.read_text(encoding="utf-8"))
    return parsed


def imported_names(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the dotted names of all that is imported, be it modules or members of modules."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the modules of this package that are imported."""
    names = imported_names(nodes)
    names = {name if name in modules() else name.rpartition(".")[0] for name in names}
    return names & modules().keys()


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a module without the bodies of its functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from outside_functions(child)


def layer_of(module: str) -> int | None:
    """Return the index of a module's layer; None for what belongs to none, as ``__main__``."""
    name = module.removeprefix("napari_ciml.")
    while name not in LAYER_OF and "." in name:
        name = name.rpartition(".")[0]
    return LAYER_OF.get(name)


def test_modules_import_only_from_layers_below() -> None:
    upward = []
    for module, tree in modules().items():
        own = layer_of(module)
        for name in sorted(imported_modules(ast.walk(tree))):
            other = layer_of(name)
            if own is not None and other is not None and other > own:
                upward.append(f"{module} imports {name}")
    assert upward == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Imports for annotations only count as well."""
    graph = {
        module: imported_modules(outside_functions(tree)) - {module}
        for module, tree in modules().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_only_widgets_import_qt_and_napari() -> None:
    offenders = [
        module
        for module, tree in modules().items()
        if not module.startswith(("napari_ciml.widgets", "napari_ciml.cli.doctor"))
        and GUI & {name.partition(".")[0] for name in imported_names(ast.walk(tree))}
    ]
    assert offenders == []


def test_no_layer_below_the_network_imports_torch() -> None:
    network = LAYERS.index({"network"})
    offenders = [
        module
        for module, tree in modules().items()
        if (layer := layer_of(module)) is not None
        and layer < network
        and module != "napari_ciml.metrics.agreement"  # imports it inside a function
        and "torch" in {name.partition(".")[0] for name in imported_names(ast.walk(tree))}
    ]
    assert offenders == []


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

"""What ships with the package: sample cases, checkpoints, and what was measured of the maps."""

from pathlib import Path

from napari_ciml.decomposition import Decomposition
from napari_ciml.errors import InputError

_HERE = Path(__file__).parent


def sample_data() -> Path:
    """Return the folder of sample cases and checkpoints, in the package or in the checkout.

    Raises
    ------
    InputError
        If it is in neither.
    """
    return _shipped("sample_data")


def faithfulness_page() -> tuple[str, Path]:
    """Return what was measured of the maps, in Markdown, and the folder of its pictures.

    Raises
    ------
    InputError
        If it is missing from this installation.
    """
    folder = _shipped("docs")
    text = (folder / "results.md").read_text(encoding="utf-8")
    _, _, found = text.partition("## Are the maps faithful?")
    return f"## Are the maps faithful?{found.partition(chr(10) + '## ')[0]}", folder


def _shipped(name: str) -> Path:
    """Return a folder that ships, in the package or in the checkout."""
    for folder in (_HERE / name, _HERE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise InputError(f"'{name}' is missing from this installation; install napari-ciml again.")


def shipped_checkpoints() -> tuple[Path, ...]:
    """Return the checkpoints that ship, by name."""
    return tuple(sorted(sample_data().glob("*.safetensors")))


def shipped_checkpoint(wanted: Decomposition | None = None) -> Path:
    """Return the shipped checkpoint that serves a decomposition; without one, the glioma one.

    Raises
    ------
    InputError
        If none does.
    """
    if wanted is None:
        return sample_data() / "glioma.safetensors"
    from napari_ciml.inference.plan import untrained
    from napari_ciml.network.checkpoint_info import read_info

    shipped = shipped_checkpoints()
    for path in shipped:
        if not untrained(read_info(path), wanted):
            return path
    names = ", ".join(path.name for path in shipped)
    raise InputError(
        f"No shipped checkpoint ({names}) serves the decomposition '{wanted.name}'; "
        "name one with --checkpoint."
    )

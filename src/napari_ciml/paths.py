"""Bundled folders (sample cases, checkpoints, documents), and the user's data folder."""

from pathlib import Path

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


def faithfulness_report() -> tuple[str, Path]:
    """Return the measured faithfulness of the maps (Markdown) and the folder its images are in.

    Raises
    ------
    InputError
        If it is missing from this installation.
    """
    folder = _shipped("docs/explanation")
    return (folder / "faithfulness.md").read_text(encoding="utf-8"), folder


def user_data_folder() -> Path:
    """Return the user's data folder of the plugin, which need not exist."""
    from platformdirs import user_data_path

    return user_data_path("napari-ciml", appauthor=False)


def _shipped(name: str) -> Path:
    """Return a folder that ships, in the package or in the checkout."""
    for folder in (_HERE / name, _HERE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise InputError(f"'{name}' is missing from this installation; install napari-ciml again.")

"""Folders of bundled data and of the user's data and cache."""

from pathlib import Path

from napari_ciml.errors import InputError

_PACKAGE = Path(__file__).parent
_APP = "napari-ciml"


def sample_data() -> Path:
    """Return the folder of sample cases and checkpoints, in the package or in the checkout.

    Raises
    ------
    InputError
        If it is in neither.
    """
    return _bundled_folder("sample_data")


def faithfulness_report() -> tuple[str, Path]:
    """Return the report on the faithfulness of maps, in Markdown, and the folder of its images.

    Raises
    ------
    InputError
        If it is missing from this installation.
    """
    folder = _bundled_folder("docs/explanation")
    return (folder / "faithfulness.md").read_text(encoding="utf-8"), folder


def user_data_folder() -> Path:
    """Return the folder of the user's data: worklists, autosaved corrections, training cases."""
    import platformdirs

    return platformdirs.user_data_path(_APP, appauthor=False)


def user_cache_folder() -> Path:
    """Return the folder of the user's cache: files that are made again if they are deleted."""
    import platformdirs

    return platformdirs.user_cache_path(_APP, appauthor=False)


def _bundled_folder(name: str) -> Path:
    """Return a bundled folder, in the package or in the checkout."""
    for folder in (_PACKAGE / name, _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise InputError(f"'{name}' is missing from this installation; install napari-ciml again.")

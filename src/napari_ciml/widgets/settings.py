"""What the user has set under napari's preferences."""

from pathlib import Path
from typing import Any

from napari_ciml.inference.settings import ENGINES, has_openvino
from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint

DEVICES = ("auto", "cpu", "cuda", "mps")

_PLUGIN = "napari-ciml"


def default_device() -> str:
    """Return the device to begin with."""
    device = _setting("device")
    return device if device in DEVICES else "auto"


def default_engine() -> str:
    """Return the engine to begin with; one that is not installed is not begun with."""
    engine = _setting("engine")
    usable = engine in ENGINES and (engine != "openvino" or has_openvino())
    return engine if usable else "auto"


def default_checkpoint() -> Path:
    """Return the checkpoint to begin with: the user's own, else the shipped one.

    Raises
    ------
    InputError
        If there is neither.
    """
    own = _setting("checkpoint")
    return Path(own) if own else find_bundled_checkpoint()


def _setting(name: str) -> Any:
    """Return a setting, None where nothing was ever set.

    napari keeps what was set in a file beside its own. Where there is none it is not asked: the
    first time it is, it reads every plugin's manifest again.
    """
    from napari.settings import get_plugin_settings, get_settings

    beside = get_settings().config_path
    if beside and not (Path(beside).parent / f"{_PLUGIN}.yaml").is_file():
        return None
    try:
        return getattr(get_plugin_settings(_PLUGIN).start, name, None)
    except KeyError:
        return None

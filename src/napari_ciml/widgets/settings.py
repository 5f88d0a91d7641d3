"""Settings of the plugin in napari's preferences."""

from pathlib import Path
from typing import Any

from napari_ciml.inference.settings import ENGINES, has_openvino
from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint

DEVICES = ("auto", "cpu", "cuda", "mps")

_PLUGIN = "napari-ciml"


def default_device() -> str:
    """Return the default device."""
    device = _setting("device")
    return device if device in DEVICES else "auto"


def default_engine() -> str:
    """Return the default engine; ``auto`` if the chosen one is not installed."""
    engine = _setting("engine")
    usable = engine in ENGINES and (engine != "openvino" or has_openvino())
    return engine if usable else "auto"


def default_checkpoint() -> Path:
    """Return the default checkpoint: the user's own, else the bundled one.

    Raises
    ------
    InputError
        If there is neither of them.
    """
    checkpoint = _setting("checkpoint")
    return Path(checkpoint) if checkpoint else find_bundled_checkpoint()


def _setting(name: str) -> Any:
    """Return a setting, None if it was never set.

    napari stores plugin settings in a file next to its own. If there is none, napari is not asked,
    because its first answer reads every plugin's manifest again.
    """
    from napari.settings import get_plugin_settings, get_settings

    path = get_settings().config_path
    if path and not (Path(path).parent / f"{_PLUGIN}.yaml").is_file():
        return None
    try:
        return getattr(get_plugin_settings(_PLUGIN).start, name, None)
    except KeyError:
        return None

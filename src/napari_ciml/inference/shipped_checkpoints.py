"""Choose a bundled checkpoint for a decomposition."""

from pathlib import Path

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.network.checkpoint_info import read_info
from napari_ciml.paths import sample_data


def bundled_checkpoints() -> tuple[Path, ...]:
    """Return the paths of the bundled checkpoints, sorted by name."""
    return tuple(sorted(sample_data().glob("*.safetensors")))


def find_bundled_checkpoint(decomposition: Decomposition | None = None) -> Path:
    """Return the first bundled checkpoint that supports a decomposition.

    Parameters
    ----------
    decomposition : Decomposition, optional
        The glioma checkpoint is returned without one.

    Raises
    ------
    InputError
        If no bundled checkpoint supports it.
    """
    if decomposition is None:
        return sample_data() / "glioma.safetensors"
    bundled = bundled_checkpoints()
    for path in bundled:
        if not unsupported_parts(read_info(path), decomposition):
            return path
    names = ", ".join(path.name for path in bundled)
    raise InputError(
        f"No shipped checkpoint ({names}) supports the decomposition '{decomposition.name}'; "
        "name one with --checkpoint."
    )

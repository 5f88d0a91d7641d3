"""Choose a bundled checkpoint for a decomposition."""

from pathlib import Path

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.network.checkpoint_info import read_info
from napari_ciml.paths import sample_data


def bundled_checkpoints() -> tuple[Path, ...]:
    """Return the checkpoints that ship, by name."""
    return tuple(sorted(sample_data().glob("*.safetensors")))


def find_bundled_checkpoint(wanted: Decomposition | None = None) -> Path:
    """Return the shipped checkpoint that serves a decomposition; without one, the glioma one.

    Raises
    ------
    InputError
        If none does.
    """
    if wanted is None:
        return sample_data() / "glioma.safetensors"
    shipped = bundled_checkpoints()
    for path in shipped:
        if not unsupported_parts(read_info(path), wanted):
            return path
    names = ", ".join(path.name for path in shipped)
    raise InputError(
        f"No shipped checkpoint ({names}) serves the decomposition '{wanted.name}'; "
        "name one with --checkpoint."
    )

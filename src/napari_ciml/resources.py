"""What ships with the package: sample cases and checkpoints."""

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
    for folder in (_HERE / "sample_data", _HERE.parents[1] / "sample_data"):
        if folder.is_dir():
            return folder
    raise InputError(
        "The sample data is missing from this installation; install napari-ciml again."
    )


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

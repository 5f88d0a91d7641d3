"""Phantoms as case folders: what ``napari-ciml phantom`` writes and ``napari-ciml train`` reads."""

from pathlib import Path

import numpy as np
import yaml

from napari_ciml import __version__
from napari_ciml.cases.writing import write_volume
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.contrast import CARRIERS, ExclusiveModality
from napari_ciml.research.phantoms.heads import HeadFolder
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom

_FILES = {"FLAIR": "flair", "T1": "t1", "T1CE": "t1ce", "T2": "t2", "PET": "PET", "CT": "CT"}


def write_phantoms(
    folder: Path,
    kind: str,
    count: int,
    seed: int,
    spacing: float,
    monitor: ProgressMonitor,
    carried: float = 0.0,
    protocol: str = "usual",
    heads: HeadFolder | None = None,
) -> None:
    """Write phantoms ``seed`` to ``seed + count - 1``, one folder each, and ``dataset.yaml``.

    In a share ``carried`` of the gliomas only one modality shows a region's border; ``protocol``
    and ``heads`` are as `make_phantom` has them.

    Raises
    ------
    InputError
        As `make_phantom`, or if the folder cannot be written to.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    for done in range(count):
        monitor.step("Making phantoms", done, count)
        name = f"{kind}_{seed + done:04d}"
        hidden = _draw_carried(seed + done, carried)
        phantom = make_phantom(kind, seed + done, spacing, hidden, protocol, heads)
        write_phantom(ensure_writable_folder(folder / name), name, phantom)
    about: dict[str, object] = {"kind": kind, "count": count, "seed": seed, "spacing_mm": spacing}
    about |= {"carried": carried} if carried else {}
    about |= {"protocol": protocol} if protocol != "usual" else {}
    about |= {"anatomies": len(heads.paths)} if heads else {}
    about["napari-ciml"] = __version__
    write_text(folder / "dataset.yaml", yaml.safe_dump(about, sort_keys=False))


def _draw_carried(seed: int, share: float) -> ExclusiveModality | None:
    # A stream of its own, so that a phantom's anatomy does not depend on the share.
    rng = np.random.default_rng((seed, len(CARRIERS)))
    return CARRIERS[rng.integers(len(CARRIERS))] if rng.random() < share else None


def write_phantom(folder: Path, name: str, phantom: Phantom) -> None:
    """Write one phantom: a file per modality (int16; PET float32) and ``<name>_seg.nii.gz``."""
    for modality, image in phantom.images.items():
        stored = image if modality == "PET" else np.rint(image).astype(np.int16)
        write_volume(folder / f"{name}_{_FILES[modality]}.nii.gz", stored, phantom.grid)
    write_volume(folder / f"{name}_seg.nii.gz", phantom.labels, phantom.grid)

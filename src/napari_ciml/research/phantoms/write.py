"""Write phantoms as case folders, which ``napari-ciml train`` reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from napari_ciml import __version__
from napari_ciml.cases.writing import write_volume
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms.contrast import EXCLUSIVE, ExclusiveModality
from napari_ciml.research.phantoms.heads import HeadFolder
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom
from napari_ciml.research.phantoms.protocols import STANDARD

_FILES = {"FLAIR": "flair", "T1": "t1", "T1CE": "t1ce", "T2": "t2", "PET": "PET", "CT": "CT"}


@dataclass(frozen=True)
class PhantomSettings:
    """Settings of a set of phantoms.

    Parameters
    ----------
    kind : {"glioma", "petct"}
        Kind of phantom.
    spacing : float
        Voxel size in mm.
    exclusive : float
        Fraction of the gliomas in which only one modality shows a region's border.
    protocol : str
        MR protocol of the gliomas, one of `PROTOCOLS`.
    heads : HeadFolder, optional
        Label maps of heads to use as anatomies of the gliomas; the atlas by default.
    """

    kind: str
    spacing: float = 2.0
    exclusive: float = 0.0
    protocol: str = STANDARD
    heads: HeadFolder | None = None


def write_phantoms(
    folder: Path, settings: PhantomSettings, count: int, seed: int, monitor: ProgressMonitor
) -> None:
    """Write phantoms ``seed`` to ``seed + count - 1``, one folder each, and ``dataset.yaml``.

    Raises
    ------
    InputError
        As `make_phantom`, or if the folder cannot be written to.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    kind, spacing, protocol = settings.kind, settings.spacing, settings.protocol
    heads = settings.heads
    for k in range(count):
        monitor.step("Making phantoms", k, count)
        name = f"{kind}_{seed + k:04d}"
        exclusive = _draw_exclusive(seed + k, settings.exclusive)
        phantom = make_phantom(kind, seed + k, spacing, exclusive, protocol, heads)
        write_phantom(ensure_writable_folder(folder / name), name, phantom)
    about: dict[str, object] = {"kind": kind, "count": count, "seed": seed, "spacing_mm": spacing}
    about |= {"exclusive": settings.exclusive} if settings.exclusive else {}
    about |= {"protocol": protocol} if protocol != STANDARD else {}
    about |= {"anatomies": len(heads.paths)} if heads else {}
    about["napari-ciml"] = __version__
    write_text(folder / "dataset.yaml", yaml.safe_dump(about, sort_keys=False))


def _draw_exclusive(seed: int, fraction: float) -> ExclusiveModality | None:
    # A generator of its own, so that a phantom's anatomy does not depend on the fraction.
    rng = np.random.default_rng((seed, len(EXCLUSIVE)))
    return EXCLUSIVE[rng.integers(len(EXCLUSIVE))] if rng.random() < fraction else None


def write_phantom(folder: Path, name: str, phantom: Phantom) -> None:
    """Write one phantom: a file per modality (int16; PET float32) and ``<name>_seg.nii.gz``."""
    for modality, image in phantom.images.items():
        stored = image if modality == "PET" else np.rint(image).astype(np.int16)
        write_volume(folder / f"{name}_{_FILES[modality]}.nii.gz", stored, phantom.grid)
    write_volume(folder / f"{name}_seg.nii.gz", phantom.labels, phantom.grid)

"""Readers, writers and sample data for napari's menus; geometry is preserved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.display_window import display_range
from napari_ciml.cases.formats.volumes import image_suffix, read_header, read_volume
from napari_ciml.cases.geometry import Grid, reorient
from napari_ciml.cases.writing import write_on_native_grid, write_volume
from napari_ciml.errors import CimlError, InputError
from napari_ciml.paths import sample_data
from napari_ciml.widgets.layers.colormaps import colormap_of
from napari_ciml.widgets.layers.metadata import KEY, LayerMetadata

LayerData = tuple[np.ndarray, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[object], list[LayerData]] | None:
    """Return a reader for a volume file or a case folder; None for anything else."""
    if isinstance(path, list):
        return None
    source = Path(path)
    if source.is_dir():
        # DICOM series take long: the dock widget Case reads them, with progress.
        return (lambda _: _read_case(source)) if _is_case(source) else None
    return (lambda _: _read_file(source)) if image_suffix(source) else None


def _is_case(folder: Path) -> bool:
    if not any(image_suffix(file) for file in folder.iterdir()):
        return False
    try:
        discovered = discover_volumes(folder)
    except CimlError:
        return False
    return not discovered.problems and any(source.modality for source in discovered.sources)


def write_labels(path: str, data: np.ndarray, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer, on the grid of its case's reference file if it has a case.

    Parameters
    ----------
    path : str
        ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``.
    data : numpy.ndarray
        (Z, Y, X).
    meta : dict
        Attributes of the layer; ``metadata``, ``scale`` and ``translate`` are used.

    Raises
    ------
    InputError
        If the file cannot be written, or the layer is not 3-D.
    """
    labels = np.asarray(data)
    if labels.ndim != 3:
        raise InputError(f"{path}: the layer has {labels.ndim} dimensions; a label map has 3.")
    stored = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    metadata = meta.get("metadata", {}).get(KEY)
    if isinstance(metadata, LayerMetadata) and metadata.case.grid.shape == stored.shape:
        write_on_native_grid(Path(path), stored, metadata.case)
    else:
        write_volume(Path(path), stored, _grid_of(stored, meta))
    return [path]


def sample_glioma() -> list[LayerData]:
    """Return the modalities of the glioma phantom as layers."""
    return _read_case(sample_data() / "glioma")


def sample_petct() -> list[LayerData]:
    """Return the modalities of the PET/CT phantom as layers."""
    return _read_case(sample_data() / "petct")


def _read_case(folder: Path) -> list[LayerData]:
    discovered = discover_volumes(folder)
    sources = {source.modality: source for source in discovered.sources if source.modality}
    case = load_case(sources, name=discovered.name)
    return [_image(case.images[name], case.grid, name, case) for name in case.images]


def _read_file(path: Path) -> list[LayerData]:
    import SimpleITK as sitk

    layers = []
    for channel in range(read_header(path).channels):
        image = reorient(read_volume(path, channel), "LPS")
        name = path.name if channel == 0 else f"{path.name} [{channel}]"
        layers.append(_image(sitk.GetArrayFromImage(image), Grid.of(image), name, None))
    return layers


def _image(array: np.ndarray, grid: Grid, name: str, case: Case | None) -> LayerData:
    low, high = display_range(array, name, case.units.get(name, "") if case else "")
    attributes: dict[str, Any] = {
        "name": name,
        "colormap": colormap_of(name),
        "contrast_limits": (low, high) if high > low else (low, low + 1),
        "scale": grid.scale,
        "translate": grid.translate,
        "units": ("mm", "mm", "mm"),
    }
    if case is not None:
        attributes["visible"] = name == case.reference
    return array, attributes, "image"


def _grid_of(array: np.ndarray, meta: dict[str, Any]) -> Grid:
    z, y, x = (float(v) for v in meta.get("scale", (1, 1, 1))[-3:])
    oz, oy, ox = (float(v) for v in meta.get("translate", (0, 0, 0))[-3:])
    depth, height, width = array.shape
    return Grid((width, height, depth), (x, y, z), (ox, oy, oz))

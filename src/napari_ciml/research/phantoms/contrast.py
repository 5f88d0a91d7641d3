"""Simulate FLAIR, T1, T1CE and T2 of a brain with a tumour."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_ciml.research.phantoms.anatomy import Anatomy
from napari_ciml.research.phantoms.fields import (
    Shape,
    blur,
    grid_points,
    rough_field,
    smooth_field,
)
from napari_ciml.research.phantoms.protocols import MEANS, PROTOCOLS, SUBTRACTED, Protocol
from napari_ciml.research.phantoms.structures import (
    draw_agent,
    overlay_structures,
    structure_means,
)
from napari_ciml.research.phantoms.tumour import ENHANCING, NECROSIS, Tumour, soften

Fractions = dict[str, np.ndarray]
"""Tissue fractions of each voxel, by tissue."""

MODALITIES = ("FLAIR", "T1", "T1CE", "T2")

_OUTLIERS = 0.2
"""Fraction of the phantoms with unusual contrasts."""

_CYSTIC = 0.25
"""Fraction of the phantoms whose necrosis is a cyst, which looks like fluid in every modality."""

_PRESENT = 0.1
"""Tissue fraction above which a tissue counts as present in a voxel."""

_HETEROGENEOUS = ("necrosis", "solid", "enhancing", "edema")
"""Tissues whose signal varies in space."""


@dataclass(frozen=True)
class ExclusiveModality:
    """A region (WT, TC or ET) whose border only one modality shows."""

    region: str
    modality: str


EXCLUSIVE = (
    ExclusiveModality("WT", "FLAIR"),
    ExclusiveModality("WT", "T2"),
    ExclusiveModality("TC", "T1CE"),
    ExclusiveModality("TC", "T2"),
    ExclusiveModality("TC", "T1"),
)
"""Choices for phantoms; each modality is a primary of its region."""


def render(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tumour: Tumour,
    spacing: float,
    exclusive: ExclusiveModality | None = None,
    protocol: str = "standard",
) -> dict[str, np.ndarray]:
    """Return the four modalities, (Z, Y, X) float32, exactly 0 outside the brain.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    anatomy : Anatomy
        Healthy tissue.
    tumour : Tumour
        Tumour tissue.
    spacing : float
        Voxel size in mm.
    exclusive : ExclusiveModality, optional
        Hide the border of its region in all other modalities.
    protocol : str
        One of `PROTOCOLS`.
    """
    scan_protocol = PROTOCOLS[protocol]
    signals = {"T1CE": "T1", **scan_protocol.signals}
    fractions = _fractions(rng, anatomy, tumour)
    heterogeneity = rough_field(rng, anatomy.brain.shape, rng.uniform(5, 14) / spacing)
    haemorrhage = _haemorrhage(rng, tumour, spacing)
    spread = 2.2 if rng.random() < _OUTLIERS else 1.0
    is_cystic = rng.random() < _CYSTIC
    field_of_view = _field_of_view(rng, anatomy.brain)
    hyperintensities = _white_matter_lesions(rng, anatomy, spacing)
    texture = rough_field(rng, anatomy.brain.shape, 5 / spacing)
    agent = draw_agent(rng) if anatomy.structures else 1.0
    images = {}
    for name in MODALITIES:
        means = _draw_means(rng, signals.get(name, name), spread, scan_protocol.contrast)
        if is_cystic:
            means["necrosis"] = means["fluid"] * rng.uniform(0.9, 1.3)
        image = np.zeros(anatomy.brain.shape, np.float32)
        if name == "T1CE":
            white = _enhance(rng, means, signals[name])
            image += _vessels(rng, anatomy, spacing) * white * rng.uniform(0.2, 0.9)
        if anatomy.structures:
            means |= structure_means(rng, name, means, agent)
        region = None if exclusive is None or exclusive.modality == name else exclusive.region
        visible = fractions if region is None else hide_region(fractions, anatomy, region)
        for tissue, fraction in visible.items():
            factor: float | np.ndarray = 1.0
            if tissue in _HETEROGENEOUS:
                factor = 1 + 0.3 * rng.uniform(0, 1) ** 2 * heterogeneity
            image += fraction * means[tissue] * np.clip(factor, 0.3, 2)
        if haemorrhage is not None:
            level = means["white"] * rng.uniform(0.3, 1.6)
            if region in (None, "ET"):
                image = image * (1 - haemorrhage) + haemorrhage * level
        if name in ("FLAIR", "T2"):
            contrast = means["edema"] - means["white"]
            image += hyperintensities * contrast * rng.uniform(0.5, 1.1)
        image *= 1 + rng.uniform(0.01, 0.05) * texture
        image = _add_remnants(rng, image, anatomy.brain, spacing)
        image = _misalign(rng, image, spacing)
        images[name] = _scan(rng, image, field_of_view, spacing, scan_protocol)
    return images


def hide_region(fractions: Fractions, anatomy: Anatomy, region: str) -> Fractions:
    """Return tissue fractions in which a region looks like its surroundings."""
    zero = np.zeros_like(fractions["edema"])
    if region == "ET":
        solid = fractions["solid"] + fractions["enhancing"]
        return fractions | {"solid": solid, "enhancing": zero}
    core = fractions["necrosis"] + fractions["solid"] + fractions["enhancing"]
    edema = zero if region == "WT" else _fill_core_with_edema(core, fractions["edema"])
    tumour = dict.fromkeys(("necrosis", "solid", "enhancing"), zero) | {"edema": edema}
    return tumour | overlay_structures(anatomy, 1 - edema)


def _fill_core_with_edema(core: np.ndarray, edema: np.ndarray) -> np.ndarray:
    """Return the fraction of edema as if there were no core.

    Core voxels take the fraction of the nearest edema. Edema next to the core is thinned out, so it
    is replaced, too, by edema a little farther away. Without any edema, the core becomes edema.
    """
    near = blur(core, 2) > _PRESENT
    source = (edema > _PRESENT) & ~near
    if not source.any():
        return np.clip(edema + core, 0, 1)
    nearest = ndimage.distance_transform_edt(~source, return_distances=False, return_indices=True)
    filled = near & ((edema > _PRESENT) | (core > 0.5))
    return blur(np.where(filled, edema[tuple(nearest)], edema), 0.5)


def _draw_means(
    rng: np.random.Generator, name: str, spread: float, contrast: float
) -> dict[str, float]:
    """Draw each tissue's mean signal; ``spread`` multiplies its standard deviation."""
    contrast *= rng.uniform(0.65, 1.3)
    means = {
        tissue: rng.normal(mean, spread * deviation)
        for tissue, (mean, deviation) in MEANS[name].items()
    }
    centre = means["grey"]
    means = {tissue: max(0.05, centre + contrast * (m - centre)) for tissue, m in means.items()}
    if name not in ("T1", "T1-INFANT"):
        # Tumours of patients are often only a little brighter than the brain around them.
        conspicuity = rng.uniform(0.6 if name == "T2" else 0.4, 1.05)
        for tissue in ("edema", "solid", "enhancing"):
            means[tissue] = means["grey"] + conspicuity * (means[tissue] - means["grey"])
    return means


def _enhance(rng: np.random.Generator, means: dict[str, float], signal: str) -> float:
    """Add contrast agent to the enhancing tumour's mean, in place; return white matter's mean.

    For a subtraction image, the mean of white matter is that of the T1.
    """
    enhancement = _draw_enhancement(rng)
    if signal == SUBTRACTED:
        plain = MEANS["T1"]
        means["enhancing"] = max(0.05, enhancement * plain["white"][0] - plain["enhancing"][0])
        return plain["white"][0]
    means["enhancing"] = max(means["white"], means["grey"]) * enhancement
    return means["white"]


def _draw_enhancement(rng: np.random.Generator) -> float:
    """Draw the signal of enhancing tumour, relative to the brightest healthy tissue."""
    return float(rng.uniform(0.98, 1.35) if rng.random() < 0.55 else rng.uniform(1.2, 2.2))


def _fractions(rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour) -> Fractions:
    """Return the tissue fractions of each voxel; they sum to 1 inside the brain."""
    sigma = rng.uniform(0.3, 0.7)
    core = soften(tumour.labels == NECROSIS, sigma)
    solid = soften(tumour.solid, sigma)
    enhancing = soften(tumour.labels == ENHANCING, sigma)
    texture = 1 - 0.25 * np.clip(rough_field(rng, anatomy.brain.shape, 7), 0, 1.5)
    edema = blur(tumour.edema, 2 * sigma) * texture
    edema = np.clip(edema, 0, np.clip(1 - core - enhancing, 0, 1))
    healthy = np.clip(1 - core - enhancing - edema, 0, 1)
    return {
        "necrosis": np.clip(core - solid, 0, 1),
        "solid": np.minimum(solid, core),
        "enhancing": enhancing,
        "edema": edema,
        **overlay_structures(anatomy, healthy),
    }


def _white_matter_lesions(rng: np.random.Generator, anatomy: Anatomy, spacing: float) -> np.ndarray:
    """Return white-matter hyperintensities, which are not tumour: a distractor."""
    if rng.random() < 0.5:
        return np.zeros(anatomy.brain.shape, np.float32)
    near = blur(anatomy.ventricles, 4 / spacing)
    spots = rough_field(rng, anatomy.brain.shape, 7 / spacing) + 4 * near
    return blur(anatomy.white * (spots > rng.uniform(2.2, 3.2)), 0.6)


def _haemorrhage(rng: np.random.Generator, tumour: Tumour, spacing: float) -> np.ndarray | None:
    """Return haemorrhage in the core, or None; its signal differs between modalities."""
    core = tumour.labels == NECROSIS
    if rng.random() > 0.12 or not core.any():
        return None
    patches = rough_field(rng, core.shape, rng.uniform(5, 10) / spacing) > rng.uniform(0.5, 1.8)
    return soften(core & patches, 0.5)


def _field_of_view(rng: np.random.Generator, brain: np.ndarray) -> np.ndarray:
    """Return the field of view, now and then with an oblique cut, as scans and defacing have."""
    mask = brain.copy()
    if rng.random() < 0.3:
        normal = np.eye(3)[rng.choice(3, p=(0.4, 0.4, 0.2))] * rng.choice((-1, 1))
        normal += rng.normal(0, 0.12, 3)
        depth = np.tensordot(normal, grid_points(brain.shape), 1)
        mask &= depth > np.quantile(depth[brain], rng.uniform(0.02, 0.4))
    return mask


def _add_remnants(
    rng: np.random.Generator, image: np.ndarray, brain: np.ndarray, spacing: float
) -> np.ndarray:
    """Add remnants of skull stripping to the brain's surface: dura, fat, marrow."""
    if rng.random() > 0.2:
        return image
    rim = brain & (blur(brain, 2 / spacing) < 0.75)
    patches = rim & (smooth_field(rng, brain.shape, 18 / spacing) > rng.uniform(0.8, 1.8))
    remnants = blur(patches, 0.4)
    return image * (1 - remnants) + remnants * image[brain].mean() * rng.uniform(0.2, 2.2)


def _misalign(rng: np.random.Generator, image: np.ndarray, spacing: float) -> np.ndarray:
    """Shift a modality by up to a millimetre: the residual error of registration."""
    if rng.random() > 0.3:
        return image
    return np.asarray(ndimage.shift(image, rng.uniform(-1, 1, 3) / spacing, order=1))


def _vessels(rng: np.random.Generator, anatomy: Anatomy, spacing: float) -> np.ndarray:
    """Return enhancing vessels, choroid plexus and dura: distractors in T1CE."""
    shape: Shape = anatomy.brain.shape
    ridge = np.abs(smooth_field(rng, shape, 9 / spacing)) + np.abs(
        smooth_field(rng, shape, 9 / spacing)
    )
    vessels = (ridge < 0.22) & (anatomy.fluid > 0.25) & (anatomy.ventricles < 0.3)
    plexus = (anatomy.ventricles > 0.4) & (rough_field(rng, shape, 6 / spacing) > 1.4)
    rim = anatomy.brain & (blur(anatomy.brain, 2.5 / spacing) < 0.72)
    dura = rim & (smooth_field(rng, shape, 25 / spacing) > rng.uniform(-0.5, 2.0))
    return blur(vessels | plexus | dura, 0.5)


def _scan(
    rng: np.random.Generator,
    image: np.ndarray,
    brain: np.ndarray,
    spacing: float,
    protocol: Protocol,
) -> np.ndarray:
    """Simulate the scanner: bias field, resolution, Rician noise, arbitrary intensity scale."""
    shape: Shape = image.shape
    biased = image * np.exp(rng.uniform(0.02, 0.12) * smooth_field(rng, shape, 60 / spacing))
    sigma = [rng.uniform(0.0, 0.8) / spacing] * 3
    if rng.random() < 0.5:
        sigma[int(rng.choice(3, p=(0.7, 0.15, 0.15)))] = rng.uniform(2, 5) / 2.4 / spacing
    if protocol.slices_mm is not None:
        sigma[0] = rng.uniform(*protocol.slices_mm) / 2.4 / spacing
    blurred = blur(biased, (sigma[0], sigma[1], sigma[2]))
    low, high = protocol.noise
    level = low + (high - low) * rng.uniform(0, 1) ** 2
    noise = rng.standard_normal((2, *shape)).astype(np.float32) * level
    magnitude = np.sqrt((blurred + noise[0]) ** 2 + noise[1] ** 2)
    peak = float(np.percentile(magnitude[brain], 99.5))
    scaled = np.clip(magnitude / peak, 0, None) ** rng.uniform(0.85, 1.2)
    return (scaled * rng.uniform(400, 1500) * brain).astype(np.float32)

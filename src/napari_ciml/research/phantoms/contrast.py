"""What FLAIR, T1, T1CE and T2 make of a brain with a tumour, and of the scanner."""

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

Shares = dict[str, np.ndarray]
"""How much of each voxel is which tissue."""

MODALITIES = ("FLAIR", "T1", "T1CE", "T2")

_STRANGE = 0.2
"""Share of the phantoms whose contrasts are far from usual."""

_CYSTIC = 0.25
"""Share of the phantoms whose necrosis is a cyst: it looks like fluid in every modality."""

_SOME = 0.1
"""Share of a voxel from which on a tissue counts as being there."""

_UNEVEN = ("necrosis", "solid", "enhancing", "edema")
"""Tissues whose signal varies from place to place."""


@dataclass(frozen=True)
class ExclusiveModality:
    """A region whose border only one modality shows: WT, TC or ET, and which."""

    region: str
    modality: str


CARRIERS = (
    ExclusiveModality("WT", "FLAIR"),
    ExclusiveModality("WT", "T2"),
    ExclusiveModality("TC", "T1CE"),
    ExclusiveModality("TC", "T2"),
    ExclusiveModality("TC", "T1"),
)
"""What a phantom may be drawn to be: each a modality that is a primary of that region."""


def render(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tumour: Tumour,
    spacing: float,
    carried: ExclusiveModality | None = None,
    protocol: str = "usual",
) -> dict[str, np.ndarray]:
    """Return the four modalities, (Z, Y, X) float32, exactly 0 outside the brain."""
    scanned = PROTOCOLS[protocol]
    signals = {"T1CE": "T1", **scanned.signals}
    shares = _shares(rng, anatomy, tumour)
    patchy = rough_field(rng, anatomy.brain.shape, rng.uniform(5, 14) / spacing)
    bleeding = _bleeding(rng, tumour, spacing)
    strange = 2.2 if rng.random() < _STRANGE else 1.0
    cystic = rng.random() < _CYSTIC
    field_of_view = _field_of_view(rng, anatomy.brain)
    hyper = _white_matter_lesions(rng, anatomy, spacing)
    texture = rough_field(rng, anatomy.brain.shape, 5 / spacing)
    agent = draw_agent(rng) if anatomy.structures else 1.0
    images = {}
    for name in MODALITIES:
        means = _draw_means(rng, signals.get(name, name), strange, scanned.contrast)
        if cystic:
            means["necrosis"] = means["fluid"] * rng.uniform(0.9, 1.3)
        image = np.zeros(anatomy.brain.shape, np.float32)
        if name == "T1CE":
            white = _with_agent(rng, means, signals[name])
            image += _vessels(rng, anatomy, spacing) * white * rng.uniform(0.2, 0.9)
        if anatomy.structures:
            means |= structure_means(rng, name, means, agent)
        region = None if carried is None or carried.modality == name else carried.region
        visible = shares if region is None else hide_region(shares, anatomy, region)
        for tissue, share in visible.items():
            uneven = 1 + 0.3 * rng.uniform(0, 1) ** 2 * patchy if tissue in _UNEVEN else 1.0
            image += share * means[tissue] * np.clip(uneven, 0.3, 2)
        if bleeding is not None:
            level = means["white"] * rng.uniform(0.3, 1.6)
            if region in (None, "ET"):
                image = image * (1 - bleeding) + bleeding * level
        if name in ("FLAIR", "T2"):
            image += hyper * (means["edema"] - means["white"]) * rng.uniform(0.5, 1.1)
        image *= 1 + rng.uniform(0.01, 0.05) * texture
        image = _remnants(rng, image, anatomy.brain, spacing)
        images[name] = _scan(rng, _misplaced(rng, image, spacing), field_of_view, spacing, scanned)
    return images


def hide_region(shares: Shares, anatomy: Anatomy, region: str) -> Shares:
    """Return shares in which a region looks like what is around it."""
    nothing = np.zeros_like(shares["edema"])
    if region == "ET":
        return shares | {"solid": shares["solid"] + shares["enhancing"], "enhancing": nothing}
    core = shares["necrosis"] + shares["solid"] + shares["enhancing"]
    edema = nothing if region == "WT" else _spread_over(core, shares["edema"])
    tumour = dict.fromkeys(("necrosis", "solid", "enhancing"), nothing) | {"edema": edema}
    return tumour | overlay_structures(anatomy, 1 - edema)


def _spread_over(core: np.ndarray, edema: np.ndarray) -> np.ndarray:
    """Return the share of edema as if there were no core: in its place, what is around it.

    Edema is thinned out beside a core, so it is taken from a little farther away and put there,
    too. Where there is no edema at all, the core is all edema.
    """
    near = blur(core, 2) > _SOME
    around = (edema > _SOME) & ~near
    if not around.any():
        return np.clip(edema + core, 0, 1)
    nearest = ndimage.distance_transform_edt(~around, return_distances=False, return_indices=True)
    filled = near & ((edema > _SOME) | (core > 0.5))
    return blur(np.where(filled, edema[tuple(nearest)], edema), 0.5)


def _draw_means(
    rng: np.random.Generator, name: str, strange: float, contrast: float
) -> dict[str, float]:
    """Draw each tissue's mean around its physical value; ``strange`` widens the spread."""
    contrast *= rng.uniform(0.65, 1.3)
    means = {
        tissue: rng.normal(mean, strange * spread) for tissue, (mean, spread) in MEANS[name].items()
    }
    centre = means["grey"]
    means = {tissue: max(0.05, centre + contrast * (m - centre)) for tissue, m in means.items()}
    if name not in ("T1", "T1-INFANT"):
        # Tumours of patients are often only a little brighter than the brain around them.
        seen = rng.uniform(0.6 if name == "T2" else 0.4, 1.05)
        for tissue in ("edema", "solid", "enhancing"):
            means[tissue] = means["grey"] + seen * (means[tissue] - means["grey"])
    return means


def _with_agent(rng: np.random.Generator, means: dict[str, float], signal: str) -> float:
    """Let enhancing tumour enhance, in place; return how bright white matter is without agent."""
    taken_up = _enhancement(rng)
    if signal == SUBTRACTED:
        plain = MEANS["T1"]
        means["enhancing"] = max(0.05, taken_up * plain["white"][0] - plain["enhancing"][0])
        return plain["white"][0]
    means["enhancing"] = max(means["white"], means["grey"]) * taken_up
    return means["white"]


def _enhancement(rng: np.random.Generator) -> float:
    """Draw how bright enhancing tumour is, relative to the brightest healthy tissue."""
    return float(rng.uniform(0.98, 1.35) if rng.random() < 0.55 else rng.uniform(1.2, 2.2))


def _shares(rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour) -> Shares:
    """Return how much of each voxel is which tissue; they sum to 1 inside the brain."""
    sigma = rng.uniform(0.3, 0.7)
    core = soften(tumour.labels == NECROSIS, sigma)
    solid = soften(tumour.solid, sigma)
    enhancing = soften(tumour.labels == ENHANCING, sigma)
    mottled = 1 - 0.25 * np.clip(rough_field(rng, anatomy.brain.shape, 7), 0, 1.5)
    edema = blur(tumour.edema, 2 * sigma) * mottled
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
    """Bright caps and spots in white matter that are no tumour; a distractor."""
    if rng.random() < 0.5:
        return np.zeros(anatomy.brain.shape, np.float32)
    near = blur(anatomy.ventricles, 4 / spacing)
    spots = rough_field(rng, anatomy.brain.shape, 7 / spacing) + 4 * near
    return blur(anatomy.white * (spots > rng.uniform(2.2, 3.2)), 0.6)


def _bleeding(rng: np.random.Generator, tumour: Tumour, spacing: float) -> np.ndarray | None:
    """Blood in the core: bright or dark, differently in every modality."""
    core = tumour.labels == NECROSIS
    if rng.random() > 0.12 or not core.any():
        return None
    patches = rough_field(rng, core.shape, rng.uniform(5, 10) / spacing) > rng.uniform(0.5, 1.8)
    return soften(core & patches, 0.5)


def _field_of_view(rng: np.random.Generator, brain: np.ndarray) -> np.ndarray:
    """Cut an end off now and then, straight or oblique, as scans and defacing do."""
    seen = brain.copy()
    if rng.random() < 0.3:
        across = np.eye(3)[rng.choice(3, p=(0.4, 0.4, 0.2))] * rng.choice((-1, 1))
        across += rng.normal(0, 0.12, 3)
        depth = np.tensordot(across, grid_points(brain.shape), 1)
        seen &= depth > np.quantile(depth[brain], rng.uniform(0.02, 0.4))
    return seen


def _remnants(
    rng: np.random.Generator, image: np.ndarray, brain: np.ndarray, spacing: float
) -> np.ndarray:
    """Put what skull stripping left behind on the brain's rim: dura, fat, marrow."""
    if rng.random() > 0.2:
        return image
    rim = brain & (blur(brain, 2 / spacing) < 0.75)
    left = blur(rim & (smooth_field(rng, brain.shape, 18 / spacing) > rng.uniform(0.8, 1.8)), 0.4)
    inside = image[brain]
    return image * (1 - left) + left * inside.mean() * rng.uniform(0.2, 2.2)


def _misplaced(rng: np.random.Generator, image: np.ndarray, spacing: float) -> np.ndarray:
    """Shift a modality by up to a millimetre, as registration leaves it."""
    if rng.random() > 0.3:
        return image
    return np.asarray(ndimage.shift(image, rng.uniform(-1, 1, 3) / spacing, order=1))


def _vessels(rng: np.random.Generator, anatomy: Anatomy, spacing: float) -> np.ndarray:
    """Enhancing vessels, choroid plexus and dura; distractors in T1CE."""
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
    scanned: Protocol,
) -> np.ndarray:
    """Add what a scanner adds: bias field, resolution, noise, an arbitrary intensity scale."""
    shape: Shape = image.shape
    biased = image * np.exp(rng.uniform(0.02, 0.12) * smooth_field(rng, shape, 60 / spacing))
    sigma = [rng.uniform(0.0, 0.8) / spacing] * 3
    if rng.random() < 0.5:
        sigma[int(rng.choice(3, p=(0.7, 0.15, 0.15)))] = rng.uniform(2, 5) / 2.4 / spacing
    if scanned.slices_mm is not None:
        sigma[0] = rng.uniform(*scanned.slices_mm) / 2.4 / spacing
    blurred = blur(biased, (sigma[0], sigma[1], sigma[2]))
    least, greatest = scanned.noise
    level = least + (greatest - least) * rng.uniform(0, 1) ** 2
    noise = rng.standard_normal((2, *shape)).astype(np.float32) * level
    seen = np.sqrt((blurred + noise[0]) ** 2 + noise[1] ** 2)
    peak = float(np.percentile(seen[brain], 99.5))
    toned = np.clip(seen / peak, 0, None) ** rng.uniform(0.85, 1.2)
    return (toned * rng.uniform(400, 1500) * brain).astype(np.float32)

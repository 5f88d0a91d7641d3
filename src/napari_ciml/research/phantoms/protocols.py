"""MR protocols of glioma phantoms: the standard one, and deviations from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Spread = tuple[float, float]
"""Mean and standard deviation over phantoms."""

SUBTRACTED = "T1CE-MINUS-T1"
"""Signal of a subtraction image, in which only enhancing tissue is bright."""

STANDARD = "standard"
"""Name of the standard protocol."""

MEANS: dict[str, dict[str, Spread]] = {
    "T1": {
        "white": (1.0, 0.04), "grey": (0.78, 0.05), "fluid": (0.35, 0.08), "edema": (0.72, 0.08),
        "solid": (0.62, 0.09), "necrosis": (0.48, 0.09), "enhancing": (0.70, 0.10),
    },
    "T2": {
        "white": (0.40, 0.05), "grey": (0.54, 0.06), "fluid": (1.45, 0.3), "edema": (0.95, 0.14),
        "solid": (0.92, 0.12), "necrosis": (1.12, 0.2), "enhancing": (0.80, 0.14),
    },
    "FLAIR": {
        "white": (0.60, 0.05), "grey": (0.70, 0.06), "fluid": (0.25, 0.08), "edema": (1.12, 0.14),
        "solid": (0.90, 0.14), "necrosis": (0.72, 0.22), "enhancing": (0.91, 0.14),
    },
    "T1-FLAIR": {
        "white": (1.0, 0.04), "grey": (0.70, 0.05), "fluid": (0.15, 0.05), "edema": (0.60, 0.08),
        "solid": (0.55, 0.09), "necrosis": (0.38, 0.09), "enhancing": (0.60, 0.10),
    },
    "FLAIR-POST": {
        "white": (0.60, 0.05), "grey": (0.70, 0.06), "fluid": (0.25, 0.08), "edema": (1.12, 0.14),
        "solid": (0.96, 0.14), "necrosis": (0.72, 0.22), "enhancing": (1.50, 0.20),
    },
    "DIR": {
        "white": (0.22, 0.04), "grey": (0.75, 0.06), "fluid": (0.12, 0.05), "edema": (0.95, 0.12),
        "solid": (0.88, 0.12), "necrosis": (0.45, 0.15), "enhancing": (0.88, 0.12),
    },
    "PD": {
        "white": (0.72, 0.03), "grey": (0.86, 0.04), "fluid": (0.90, 0.08), "edema": (1.02, 0.07),
        "solid": (0.99, 0.07), "necrosis": (1.02, 0.09), "enhancing": (0.96, 0.07),
    },
    "T1-INFANT": {
        "white": (0.66, 0.04), "grey": (0.82, 0.05), "fluid": (0.35, 0.08), "edema": (0.55, 0.06),
        "solid": (0.60, 0.08), "necrosis": (0.45, 0.08), "enhancing": (0.66, 0.09),
    },
    "T2-INFANT": {
        "white": (0.86, 0.07), "grey": (0.58, 0.06), "fluid": (1.50, 0.25), "edema": (1.12, 0.12),
        "solid": (0.95, 0.12), "necrosis": (1.20, 0.2), "enhancing": (0.85, 0.14),
    },
    "FLAIR-INFANT": {
        "white": (0.74, 0.06), "grey": (0.62, 0.06), "fluid": (0.25, 0.08), "edema": (1.08, 0.12),
        "solid": (0.96, 0.14), "necrosis": (0.68, 0.2), "enhancing": (0.98, 0.14),
    },
    SUBTRACTED: {
        "white": (0.06, 0.01), "grey": (0.10, 0.02), "fluid": (0.05, 0.01), "edema": (0.07, 0.02),
        "solid": (0.12, 0.04), "necrosis": (0.06, 0.02), "enhancing": (0.80, 0.20),
    },
}  # fmt: skip
"""Mean signal of each tissue and its standard deviation, relative to white matter in T1."""


@dataclass(frozen=True)
class Protocol:
    """An MR protocol.

    Parameters
    ----------
    about : str
        Description.
    signals : mapping of str to str
        Key in `MEANS` by modality; the modality's own name by default.
    noise : tuple of float
        Smallest and largest standard deviation of the noise, relative to white matter in T1.
    slices_mm : tuple of float, optional
        Range of the axial slice thickness; by default half of the volumes have thick slices, in any
        plane.
    contrast : float
        Factor on the differences between tissues.
    """

    about: str
    signals: Mapping[str, str] = field(default_factory=dict)
    noise: tuple[float, float] = (0.002, 0.042)
    slices_mm: tuple[float, float] | None = None
    contrast: float = 1.0


_INFANT = {name: f"{name}-INFANT" for name in ("T1", "T2", "FLAIR")} | {"T1CE": "T1-INFANT"}

PROTOCOLS = {
    STANDARD: Protocol("the protocol the bundled checkpoint was trained on"),
    "t1-flair": Protocol("T1-weighted FLAIR, in which a tumour is dark", {"FLAIR": "T1-FLAIR"}),
    "post-flair": Protocol("FLAIR after contrast agent, with enhancement", {"FLAIR": "FLAIR-POST"}),
    "dir": Protocol(
        "double inversion recovery instead of FLAIR, with dark white matter", {"FLAIR": "DIR"}
    ),
    "pd": Protocol("proton density instead of T2, with little contrast", {"T2": "PD"}),
    "subtraction": Protocol(
        "T1CE minus T1 instead of T1CE, in which only enhancing tissue is bright",
        {"T1CE": SUBTRACTED},
    ),
    "infant": Protocol(
        "before myelination: white matter darker than grey in T1, brighter in T2", _INFANT
    ),
    "low-field": Protocol(
        "64 mT: much noise, slices of 5 mm, little contrast",
        noise=(0.05, 0.11),
        slices_mm=(4.5, 5.5),
        contrast=0.7,
    ),
}
"""Protocols by name."""

NONSTANDARD = tuple(name for name in PROTOCOLS if name != STANDARD)
"""Protocols that the bundled checkpoint was not trained on."""

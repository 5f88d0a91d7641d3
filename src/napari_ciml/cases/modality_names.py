"""Which modality a file is, by the names in use; never more than its name claims."""

import re

MODALITIES = {
    "FLAIR": {"flair", "fla", "t2f", "t2flair"},
    "T1CE": {"t1ce", "t1c", "t1gd", "t1post", "t1contrast", "t1km", "ce"},
    "T1": {"t1", "t1n", "t1w", "t1pre", "t1native"},
    "T2": {"t2", "t2w", "t2n"},
    "PET": {"pet", "suv", "pt"},
    "CT": {"ct", "ctres"},
}
"""Name parts that claim a modality; the order is the one in which a reference is chosen."""

REFERENCES = {
    "seg", "segmentation", "label", "labels", "mask", "brainmask", "otmulticlass", "fusion",
    "gt", "groundtruth", "truth", "annotation", "roi", "dseg", "contour", "probability",
    "complementary",
}  # fmt: skip
"""Name parts of files that are results or references, not images."""

_REFINES = {("T2", "FLAIR"): "FLAIR", ("T1", "T1CE"): "T1CE"}
"""Two claims of which one only says the other more exactly: T2-FLAIR is FLAIR."""

_WORDS = re.compile(r"[A-Za-z0-9]+")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def name_parts(name: str) -> set[str]:
    """Split a file's name, without its suffix, into words and camel humps, in lower case."""
    words = _WORDS.findall(name)
    return {part.lower() for word in words for part in (word, *_HUMPS.split(word))}


def is_label_map_name(name: str) -> bool:
    """Whether a name says that the file is a label map, a mask or a result."""
    return any(
        part in REFERENCES or part.rstrip("0123456789") in REFERENCES for part in name_parts(name)
    )


def modalities_in_name(name: str) -> tuple[str, ...]:
    """Return every modality a name claims; more than one means that nobody can tell.

    Parameters
    ----------
    name : str
        A file's name without folder and suffix.
    """
    parts = name_parts(name)
    claims = {modality for modality, names in MODALITIES.items() if parts & names}
    for (vague, exact), modality in _REFINES.items():
        if {vague, exact} <= claims:
            claims = claims - {vague, exact} | {modality}
    return tuple(modality for modality in MODALITIES if modality in claims)

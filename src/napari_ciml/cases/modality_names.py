"""Modalities by file name: the name parts that identify each, and those of label maps."""

import re

MODALITIES = {
    "FLAIR": {"flair", "fla", "t2f", "t2flair"},
    "T1CE": {"t1ce", "t1c", "t1gd", "t1post", "t1contrast", "t1km", "ce"},
    "T1": {"t1", "t1n", "t1w", "t1pre", "t1native"},
    "T2": {"t2", "t2w", "t2n"},
    "PET": {"pet", "suv", "pt"},
    "CT": {"ct", "ctres"},
}
"""Name parts by modality, in the order in which the reference is chosen."""

REFERENCES = {
    "seg", "segmentation", "label", "labels", "mask", "brainmask", "otmulticlass", "fusion",
    "gt", "groundtruth", "truth", "annotation", "roi", "dseg", "contour", "probability",
    "complementary",
}  # fmt: skip
"""Name parts of label maps and results, which are not images."""

_MORE_SPECIFIC = {("T2", "FLAIR"): "FLAIR", ("T1", "T1CE"): "T1CE"}
"""Pairs of matches of which one is more specific: T2-FLAIR is FLAIR."""

_WORDS = re.compile(r"[A-Za-z0-9]+")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def name_parts(name: str) -> set[str]:
    """Split a file name without suffix into lower-case words, also at camel case."""
    words = _WORDS.findall(name)
    return {part.lower() for word in words for part in (word, *_HUMPS.split(word))}


def is_label_map_name(name: str) -> bool:
    """Whether a file name is that of a label map, a mask or a result."""
    return any(
        part in REFERENCES or part.rstrip("0123456789") in REFERENCES for part in name_parts(name)
    )


def modalities_in_name(name: str) -> tuple[str, ...]:
    """Return every modality that a name matches; more than one is ambiguous.

    Parameters
    ----------
    name : str
        File name without folder and suffix.
    """
    parts = name_parts(name)
    matches = {modality for modality, names in MODALITIES.items() if parts & names}
    for (general, specific), modality in _MORE_SPECIFIC.items():
        if {general, specific} <= matches:
            matches = matches - {general, specific} | {modality}
    return tuple(modality for modality in MODALITIES if modality in matches)

"""Classify a DICOM series: its modality, or why it is left out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NON_IMAGE_MODALITIES = {
    "SEG": "a segmentation", "SR": "a report", "PR": "a presentation state", "KO": "a note",
    "RTSTRUCT": "contours", "RTDOSE": "a dose", "RTPLAN": "a plan", "REG": "a registration",
    "DOC": "a document",
}  # fmt: skip

_EXCLUDED_DESCRIPTIONS: tuple[tuple[str, str], ...] = (
    ("localiser", r"locali[sz]er|\bloc\b|scout|survey|topogram|scanogram|3[ _-]?plane|smartbrain"),
    ("apparent diffusion coefficients", r"\be?adc\b|apparent diffusion|\bdadc"),
    ("diffusion-weighted", r"dwi|diffusion|\bdiff\b|\btrace|\bdti\b|\bb ?[0-9]{3,4}\b"),
    ("diffusion-weighted", r"tensor|\bfa\b|colfa|ep2d d|resolve"),
    ("perfusion", r"perf|\bdsc\b|\bdce\b|\bpwi\b|\br?cb[vf]\b|\bmtt\b|\bttp\b|tmax|\bp?c?asl\b"),
    ("functional", r"bold|fmri|resting"),
    ("susceptibility-weighted", r"\bswi\b|swan|swip|venobold|\bt2 ?\*|t2[ _-]?star|hemo"),
    ("an angiogram", r"\btof\b|\bmra\b|\bmrv\b|angio"),
    ("spectroscopy", r"spectro|\bsvs\b|\bcsi\b|press\b"),
    ("a calibration", r"calib|asset|shim|field ?map|b0 ?map|b1 ?map|phoenix"),
    ("a subtraction", r"\bsub\b|subtract"),
    ("a projection", r"\bmip\b|minip|projection|rotat"),
    ("fat-suppressed STIR", r"\bstir\b"),
    ("proton-density-weighted", r"\bpd\b|proton"),
)  # fmt: skip
"""Kinds of series that are left out, and patterns of their lower-case descriptions."""

_EXCLUDED_IMAGE_TYPES: tuple[tuple[str, set[str]], ...] = (
    ("localiser", {"LOCALIZER"}),
    ("apparent diffusion coefficients", {"ADC"}),
    ("diffusion-weighted", {"DIFFUSION", "TRACEW", "FA", "TENSOR"}),
    ("perfusion", {"PERFUSION", "CBV", "CBF", "MTT", "TTP", "ASL"}),
    ("a mosaic", {"MOSAIC"}),
    ("a projection", {"MIP", "MINIP", "PROJECTION IMAGE", "REPROJECTION"}),
    ("a subtraction", {"SUBTRACTION", "SUBTRACT"}),
    ("a phase image", {"P", "PHASE", "PHASE MAP", "IMAGINARY", "I"}),
    ("a screen capture", {"SCREEN SAVE", "SECONDARY CAPTURE"}),
)
"""Kinds of series that are left out, and their values of ImageType."""

_CONTRAST = re.compile(
    r"\bgd\b|\bgad|gadolin|\+ ?c\b|\+ ?gd|\bpost|\bkm\b|\bce\b|\bc\+|contrast|t1ce|t1c\b|t1gd|t1km"
)
_NATIVE = re.compile(
    r"\bpre\b|\bpre ?(contrast|gd|gad|km)|without|\bw ?/ ?o\b|\bnon\b|no ?contrast|nativ"
)
_NO_AGENT = {"", "no", "none", "without", "n", "0", "no contrast", "nein", "ohne"}


@dataclass(frozen=True)
class SeriesKind:
    """Classification of a series.

    Parameters
    ----------
    modality : str or None
        Modality as decompositions name it; None if the series is left out.
    reason : str
        Why the series is left out, as a phrase that follows "is"; empty if it is not.
    derived : bool
        Whether it was computed from other images (reformatted, filtered); it may be used.
    """

    modality: str | None
    reason: str = ""
    derived: bool = False


def recognise_series(
    tags: Mapping[str, Any], kind: tuple[str, ...], echo: float | None
) -> SeriesKind:
    """Classify a series by its description, ImageType and sequence parameters.

    Parameters
    ----------
    tags : mapping of str to object
        Tags of its first file.
    kind : tuple of str
        ImageType of its planes.
    echo : float or None
        Echo time of its planes in ms.
    """
    modality = str(tags.get("Modality") or "")
    if modality in _NON_IMAGE_MODALITIES:
        return SeriesKind(None, _NON_IMAGE_MODALITIES[modality])
    text = _text(tags)
    words = {word.upper() for word in kind} | {str(w).upper() for w in tags.get("SeriesType") or ()}
    derived = bool(kind) and kind[0].upper() == "DERIVED"
    for reason, values in _EXCLUDED_IMAGE_TYPES:
        if words & values:
            return SeriesKind(None, reason, derived)
    if modality in ("CT", "PT"):
        return _ct_or_pet(modality, tags, text, derived)
    for reason, pattern in _EXCLUDED_DESCRIPTIONS:
        if re.search(pattern, text):
            return SeriesKind(None, reason, derived)
    weighting = _weighting(text, tags, echo)
    if weighting == "T1" and _has_contrast(text, tags):
        weighting = "T1CE"
    reason = "" if weighting else "nothing that its name or its sequence parameters tell"
    return SeriesKind(weighting, reason, derived)


def is_enhanced_by_name(tags: Mapping[str, Any]) -> bool:
    """Whether the description names a contrast agent."""
    text = _text(tags)
    return bool(_CONTRAST.search(text)) and not _NATIVE.search(text)


def _text(tags: Mapping[str, Any]) -> str:
    """Return description and protocol name in lower case, with words separated by spaces."""
    description = str(tags.get("SeriesDescription") or "")
    text = description
    if not _is_informative(description):
        text = f"{description} {tags.get('ProtocolName') or ''}"
    return re.sub(r"[_\s.,;()\[\]-]+", " ", text.lower())


def _is_informative(description: str) -> bool:
    """Whether a description states the kind of series, so that the protocol name is not used."""
    return bool(re.search(r"t[12]|flair|pd|dwi|adc|mprage|loc|scout|swi|perf", description.lower()))


def _ct_or_pet(modality: str, tags: Mapping[str, Any], text: str, derived: bool) -> SeriesKind:
    """Classify a CT or PET series."""
    if re.search(r"scout|topogram|locali[sz]er|scanogram|surview", text):
        return SeriesKind(None, "localiser", derived)
    if re.search(r"\bmip\b|dose report|screen ?save", text):
        return SeriesKind(None, "a projection or a report", derived)
    if modality == "CT":
        return SeriesKind("CT", "", derived)
    corrected = {str(word).upper() for word in tags.get("CorrectedImage") or ()}
    uncorrected = corrected and "ATTN" not in corrected
    if uncorrected or re.search(r"\bnac\b|uncorrected|no ?ac\b", text):
        return SeriesKind(None, "not corrected for attenuation", derived)
    return SeriesKind("PET", "", derived)


def _weighting(text: str, tags: Mapping[str, Any], echo: float | None) -> str | None:
    """Return FLAIR, T1 or T2 by description, else by echo, repetition and inversion time.

    None if neither is conclusive.
    """
    echo = echo if echo is not None else _time_ms(tags, "EchoTime")
    inversion, repetition = _time_ms(tags, "InversionTime"), _time_ms(tags, "RepetitionTime")
    is_fluid_attenuated = (
        inversion is not None and inversion > 1500 and echo is not None and echo > 60
    )
    named_flair = re.search(r"flair|dark ?fluid|\btirm\b|t2f\b", text)
    named_t1 = re.search(r"t1|mprage|mp ?rage|bravo|fspgr|spgr|\btfl\b|vibe|\bffe3d\b", text)
    if named_flair and not (named_t1 and echo is not None and echo < 40):
        return "FLAIR"
    if is_fluid_attenuated:
        return "FLAIR"
    if named_t1:
        return "T1"
    if re.search(r"t2", text):
        # At shorter echo times, gradient-echo images are T2*-weighted, and the first echo of a
        # double-echo sequence is proton-density-weighted.
        return "T2" if echo is None or echo > 50 else None
    if echo is None or echo <= 0:
        return None
    if echo >= 70 and (repetition or 0) >= 2000:
        return "T2"
    is_inversion_recovery = inversion is not None and 250 <= inversion <= 1400
    if echo <= 30 and (is_inversion_recovery or 0 < (repetition or 0) <= 1000):
        return "T1"
    return None


def _has_contrast(text: str, tags: Mapping[str, Any]) -> bool:
    """Whether the description, or else ContrastBolusAgent, states a contrast agent."""
    if _NATIVE.search(text):
        return False
    if _CONTRAST.search(text):
        return True
    return str(tags.get("ContrastBolusAgent") or "").strip().lower() not in _NO_AGENT


def _time_ms(tags: Mapping[str, Any], keyword: str) -> float | None:
    """Return a time in ms; None if it is missing or not a number."""
    value = tags.get(keyword)
    try:
        return float(str(value[0] if isinstance(value, tuple) else value))
    except (ValueError, IndexError):
        return None

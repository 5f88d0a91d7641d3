"""Standardised uptake values by body weight, from the tags of a PET series."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_DOSES_MBQ = (0.5, 20_000)
_WEIGHTS_KG = (0.3, 500)
_LONGEST_WAIT = 6.0
"""Half lives between injection and scan; what is longer is a date that was changed."""

_LONG_LIVED = 12 * 3600.0
"""Half life in seconds from which on the scan need not be on the day of the injection."""


@dataclass(frozen=True)
class PetScale:
    """What turns a PET series' values into what is shown.

    Parameters
    ----------
    unit : str
        ``SUV`` or, if that is not known, ``Bq/mL`` or ``counts``.
    factor : float
        From values rescaled by slope and intercept to the unit.
    reason : str
        A clause that says why it is not SUV; empty if it is.
    """

    unit: str
    factor: float = 1.0
    reason: str = ""


class _UnknownError(Exception):
    """Something the SUV needs is not told, or cannot be; says what."""


def suv_scale(tags: Mapping[str, Any], acquired: str) -> PetScale:
    """Work out the factor to SUV (g/mL, body weight).

    Parameters
    ----------
    tags : mapping of str to object
        Of the series' first file.
    acquired : str
        Date and time of the earliest acquisition in it.

    Notes
    -----
    SUV = activity concentration x weight / dose, the dose decayed to the time to which the images
    are corrected: that of the scan's start (``START``) or that of the injection (``ADMIN``). The
    scan's start is SeriesDate and SeriesTime; if these are later than the earliest acquisition
    (the series was made anew), GE's own tag (0009,100D), else that acquisition. Counts become
    SUV or Bq/mL by Philips' own factors (7053,1000) and (7053,1009).
    """
    unit = re.sub(r"[^A-Z0-9]", "", str(tags.get("Units") or "").upper())
    if unit in ("GML", "SUV", "SUVBW", "GMLSUVBW"):
        kind = str(tags.get("SUVType") or "BW").upper()
        if kind == "BW":
            return PetScale("SUV")
        return PetScale(f"SUV ({kind})", 1.0, f"it is normalised by {kind}, not by body weight")
    to_activity = 1.0
    if unit == "CNTS":
        ready = _positive(tags.get("PhilipsSUVFactor"))
        if ready is not None:
            return PetScale("SUV", ready)
        activity = _positive(tags.get("PhilipsActivityFactor"))
        if activity is None:
            return PetScale("counts", 1.0, "it is in counts, and no factor to Bq/mL is told")
        to_activity = activity
    elif unit != "BQML":
        return PetScale("unknown unit", 1.0, f"its unit is {unit or 'not told'}")
    try:
        dose = _decayed_dose(tags, acquired)
        weight = _needed(tags, "PatientWeight", "the patient's weight", _WEIGHTS_KG)
    except _UnknownError as error:
        return PetScale("Bq/mL", to_activity, str(error))
    return PetScale("SUV", to_activity * weight * 1000 / dose)


def _decayed_dose(tags: Mapping[str, Any], acquired: str) -> float:
    """Return the injected activity in Bq at the time to which the images are corrected."""
    mega = (_DOSES_MBQ[0] * 1e6, _DOSES_MBQ[1] * 1e6)
    dose = _needed(tags, "RadionuclideTotalDose", "the injected dose", mega)
    how = str(tags.get("DecayCorrection") or "").upper()
    if not how and str(tags.get("DecayCorrected") or "").upper() == "YES":
        how = "START"
    if how == "ADMIN":
        return dose
    if how != "START":
        raise _UnknownError(f"its decay correction is {how or 'not told'}")
    half_life = _needed(tags, "RadionuclideHalfLife", "the half life", (60, 1e9))
    waited = _since_injection(tags, _scan_start(tags, acquired), half_life)
    return float(dose * 2 ** (-waited.total_seconds() / half_life))


def _scan_start(tags: Mapping[str, Any], acquired: str) -> datetime:
    told = parse_dicom_datetime(str(tags.get("DecayCorrectionDateTime") or ""))
    if told is not None:
        return told
    series = parse_dicom_datetime(f"{tags.get('SeriesDate') or ''}{tags.get('SeriesTime') or ''}")
    earliest = parse_dicom_datetime(acquired)
    if series is not None and (earliest is None or series <= earliest):
        return series
    start = parse_dicom_datetime(str(tags.get("GEScanDateTime") or "")) or earliest
    if start is None:
        raise _UnknownError("the time of the scan is not told")
    return start


def _since_injection(tags: Mapping[str, Any], scan: datetime, half_life: float) -> timedelta:
    whole = parse_dicom_datetime(str(tags.get("RadiopharmaceuticalStartDateTime") or ""))
    if whole is not None and 0 <= (scan - whole).total_seconds() <= _LONGEST_WAIT * half_life:
        return scan - whole
    if whole is not None and half_life > _LONG_LIVED:
        raise _UnknownError("the time of the injection does not fit that of the scan")
    # Dates are often changed when names are removed; the time of day is then what is left.
    clock = str(tags.get("RadiopharmaceuticalStartTime") or "")
    injected = parse_dicom_datetime(f"{scan:%Y%m%d}{clock}") if clock else None
    if injected is None:
        late = "is not told" if whole is None else "does not fit that of the scan"
        raise _UnknownError(f"the time of the injection {late}")
    if half_life > _LONG_LIVED:
        raise _UnknownError("the day of the injection is not told")
    waited = (scan - injected) % timedelta(days=1)
    if waited.total_seconds() > _LONGEST_WAIT * half_life:
        raise _UnknownError("the time of the injection does not fit that of the scan")
    return waited


def parse_dicom_datetime(text: str) -> datetime | None:
    """Read a DICOM date and time, as in ``20240131093015.250``; None if it is none."""
    digits = re.match(r"(\d{8})(\d{2})(\d{2})(\d{2})?(?:\.(\d{1,6}))?", text.strip())
    if digits is None:
        return None
    date, hours, minutes, seconds, fraction = digits.groups()
    try:
        whole = datetime.strptime(f"{date}{hours}{minutes}{seconds or '00'}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return whole + timedelta(seconds=float(f"0.{fraction or 0}"))


def _needed(
    tags: Mapping[str, Any], keyword: str, words: str, between: tuple[float, float]
) -> float:
    value = _positive(tags.get(keyword))
    if value is None:
        raise _UnknownError(f"{words} is not told")
    if not between[0] <= value <= between[1]:
        raise _UnknownError(f"{words} ({value:g}) cannot be")
    return value


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None

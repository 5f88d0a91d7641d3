"""Compute standardised uptake values (SUV) by body weight from the tags of a PET series."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_DOSES_BQ = (0.5e6, 20e9)
_WEIGHTS_KG = (0.3, 500)
_HALF_LIVES_S = (60, 1e9)
"""Smallest and largest plausible values."""

_MAX_HALF_LIVES = 6.0
"""Half-lives between injection and scan above which a date must have been altered."""

_LONG_LIVED = 12 * 3600.0
"""Half-life in seconds above which the scan may be on another day than the injection."""


@dataclass(frozen=True)
class PetScale:
    """Unit and scale of a PET series as it is displayed.

    Parameters
    ----------
    unit : str
        ``SUV``; if it cannot be computed, the unit of the series, such as ``Bq/mL`` or ``counts``.
    factor : float
        Factor from values rescaled by slope and intercept to the unit.
    reason : str
        Why the unit is not SUV by body weight, as a clause; empty if it is.
    """

    unit: str
    factor: float = 1.0
    reason: str = ""


class _SuvInputError(Exception):
    """A value that the SUV requires is missing or implausible; the message is a clause."""


def suv_scale(tags: Mapping[str, Any], acquisition_time: str) -> PetScale:
    """Return the factor to SUV (g/mL, body weight), or to the best known unit.

    Parameters
    ----------
    tags : mapping of str to object
        Tags of the first file of the series.
    acquisition_time : str
        Date and time of the earliest acquisition in the series, as DICOM writes them.

    Notes
    -----
    SUV = activity concentration x weight / dose. The dose is decayed to the time to which the
    images are decay-corrected: the start of the scan (``START``) or the injection (``ADMIN``). The
    start of the scan is DecayCorrectionDateTime, else SeriesDate and SeriesTime. If these are
    later than the earliest acquisition (a reprocessed series), it is GE's private tag (0009,100D),
    else that acquisition. Counts are scaled to SUV or Bq/mL by Philips' private factors
    (7053,1000) and (7053,1009).
    """
    unit = re.sub(r"[^A-Z0-9]", "", str(tags.get("Units") or "").upper())
    if unit in ("GML", "SUV", "SUVBW", "GMLSUVBW"):
        kind = str(tags.get("SUVType") or "BW").upper()
        if kind == "BW":
            return PetScale("SUV")
        return PetScale(f"SUV ({kind})", 1.0, f"it is normalised by {kind}, not by body weight")
    to_activity = 1.0
    if unit == "CNTS":
        suv_factor = _positive(tags.get("PhilipsSUVFactor"))
        if suv_factor is not None:
            return PetScale("SUV", suv_factor)
        activity_factor = _positive(tags.get("PhilipsActivityFactor"))
        if activity_factor is None:
            return PetScale("counts", 1.0, "it is in counts, and the factor to Bq/mL is missing")
        to_activity = activity_factor
    elif unit != "BQML":
        return PetScale("unknown unit", 1.0, f"its unit is {unit or 'missing'}")
    try:
        dose = _decayed_dose(tags, acquisition_time)
        weight = _require_value(tags, "PatientWeight", "the patient's weight", _WEIGHTS_KG)
    except _SuvInputError as error:
        return PetScale("Bq/mL", to_activity, str(error))
    return PetScale("SUV", to_activity * weight * 1000 / dose)


def _decayed_dose(tags: Mapping[str, Any], acquisition_time: str) -> float:
    """Return the injected activity in Bq, decayed to the time of the decay correction."""
    dose = _require_value(tags, "RadionuclideTotalDose", "the injected dose", _DOSES_BQ)
    correction = str(tags.get("DecayCorrection") or "").upper()
    if not correction and str(tags.get("DecayCorrected") or "").upper() == "YES":
        correction = "START"
    if correction == "ADMIN":
        return dose
    if correction != "START":
        raise _SuvInputError(f"its decay correction is {correction or 'missing'}")
    half_life = _require_value(tags, "RadionuclideHalfLife", "the half life", _HALF_LIVES_S)
    uptake_time = _uptake_time(tags, _scan_start(tags, acquisition_time), half_life)
    return float(dose * 2 ** (-uptake_time.total_seconds() / half_life))


def _scan_start(tags: Mapping[str, Any], acquisition_time: str) -> datetime:
    """Return the start of the scan, see the notes of `suv_scale`."""
    corrected_to = parse_dicom_datetime(str(tags.get("DecayCorrectionDateTime") or ""))
    if corrected_to is not None:
        return corrected_to
    series = parse_dicom_datetime(f"{tags.get('SeriesDate') or ''}{tags.get('SeriesTime') or ''}")
    earliest = parse_dicom_datetime(acquisition_time)
    if series is not None and (earliest is None or series <= earliest):
        return series
    start = parse_dicom_datetime(str(tags.get("GEScanDateTime") or "")) or earliest
    if start is None:
        raise _SuvInputError("the time of the scan is missing")
    return start


def _uptake_time(tags: Mapping[str, Any], scan: datetime, half_life: float) -> timedelta:
    """Return the time between injection and scan."""
    longest = _MAX_HALF_LIVES * half_life
    injection = parse_dicom_datetime(str(tags.get("RadiopharmaceuticalStartDateTime") or ""))
    if injection is not None and 0 <= (scan - injection).total_seconds() <= longest:
        return scan - injection
    if injection is not None and half_life > _LONG_LIVED:
        raise _SuvInputError("the time of the injection does not fit that of the scan")
    # De-identification often alters dates but not the time of day.
    time_of_day = str(tags.get("RadiopharmaceuticalStartTime") or "")
    same_day = parse_dicom_datetime(f"{scan:%Y%m%d}{time_of_day}") if time_of_day else None
    if same_day is None:
        problem = "is missing" if injection is None else "does not fit that of the scan"
        raise _SuvInputError(f"the time of the injection {problem}")
    if half_life > _LONG_LIVED:
        raise _SuvInputError("the day of the injection is missing")
    uptake_time = (scan - same_day) % timedelta(days=1)
    if uptake_time.total_seconds() > longest:
        raise _SuvInputError("the time of the injection does not fit that of the scan")
    return uptake_time


def parse_dicom_datetime(text: str) -> datetime | None:
    """Parse a DICOM date and time, such as ``20240131093015.250``; None if it is invalid."""
    digits = re.match(r"(\d{8})(\d{2})(\d{2})(\d{2})?(?:\.(\d{1,6}))?", text.strip())
    if digits is None:
        return None
    date, hours, minutes, seconds, fraction = digits.groups()
    try:
        start = datetime.strptime(f"{date}{hours}{minutes}{seconds or '00'}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return start + timedelta(seconds=float(f"0.{fraction or 0}"))


def _require_value(
    tags: Mapping[str, Any], keyword: str, description: str, limits: tuple[float, float]
) -> float:
    """Return a positive value within limits.

    Raises
    ------
    _SuvInputError
        If it is missing or outside the limits; the message starts with the description.
    """
    value = _positive(tags.get(keyword))
    if value is None:
        raise _SuvInputError(f"{description} is missing")
    if not limits[0] <= value <= limits[1]:
        raise _SuvInputError(f"{description} ({value:g}) cannot be")
    return value


def _positive(value: Any) -> float | None:
    """Return a positive finite number; None for any other value."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None

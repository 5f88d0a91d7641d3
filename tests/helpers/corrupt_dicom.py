"""Damage inside DICOM sequences: absurd values, and structures that are not what they should be."""

import random
import struct
from io import BytesIO
from typing import Any

_REAL = (float("nan"), float("inf"), -1.0, 0.0, 1e-30, 1e30, 1e308)
_WHOLE = (0, 1, 2, 3, 255, 9999, 32768, 65535)
_LONG = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
_TEXT = (b"", b"0", b"-1", b"nan", b"inf", b"1e30", b"1e-9", b"99999999999999999999", b"a\\b",
         b"nan\\nan\\nan", b"0\\0", b"0\\0\\0\\0\\0\\0", b"1e9\\1e9", b"1e30\\0\\0", b"1\\1",
         b"-2\\-2", b"1\\0\\0\\1\\0\\0", b"\xff\xfe", b"20240131250000", b"999999", b"\0" * 40,
         b"9" * 5000)  # fmt: skip
_BINARY: dict[str, tuple[str, tuple[Any, ...]]] = {
    "US": ("<H", _WHOLE), "SS": ("<H", _WHOLE), "UL": ("<I", _LONG), "SL": ("<I", _LONG),
    "FL": ("<f", tuple(v for v in _REAL if v != 1e308)), "FD": ("<d", _REAL),
}  # fmt: skip
_STRANGE = ("UN", "SQ", "OB", "US", "FD", "LO")
_DEEP = 1500
"""Sequences within each other: more than any program calls itself."""

_ITEM, _UNDEFINED = b"\xfe\xff\x00\xe0", 0xFFFFFFFF


def in_sequence(content: bytes, rng: random.Random) -> bytes:
    """Change something inside a sequence; all lengths around it stay true."""
    import pydicom
    from pydicom import config

    try:
        whole = pydicom.dcmread(BytesIO(content), force=True)
        items = list(_items(whole))
        if not items:
            return content
        rng.choice((_value, _value, _value, _value, _other_type, _without, _structure))(items, rng)
        written = BytesIO()
        with config.disable_value_validation():
            whole.save_as(written)
    except Exception:  # noqa: BLE001 - damaged before so that it cannot be taken apart
        return content
    return written.getvalue()


def sequence_length(content: bytes, rng: random.Random) -> bytes:
    """Let a sequence or an item lie about its length, or nest one too deeply."""
    if rng.random() < 0.15:
        return _too_deep(content)
    places = [k + 4 for k in range(len(content) - 8) if content[k : k + 4] == _ITEM]
    places += [k + 8 for k in range(len(content) - 12) if content[k + 4 : k + 8] == b"SQ\0\0"]
    if not places:
        return content
    at = rng.choice(places)
    (old,) = struct.unpack_from("<I", content, at)
    lies = (0, 1, old ^ 1, old + 2, max(old - 2, 0), 2 * old, 2**31, _UNDEFINED)
    return content[:at] + struct.pack("<I", rng.choice(lies) % 2**32) + content[at + 4 :]


def _items(dataset: Any) -> Any:
    for element in dataset:
        for item in element.value or () if element.VR == "SQ" else ():
            yield item
            yield from _items(item)


def _value(items: list[Any], rng: random.Random) -> None:
    """Another value of the same type, written as it is."""
    item, tag, kind = _chosen(items, rng)
    if kind in _BINARY:
        form, values = _BINARY[kind]
        count = rng.choice((0, 1, 1, 1, 2, 3, 100))
        _put(item, tag, kind, struct.pack(form, rng.choice(values)) * count)
    else:
        _put(item, tag, kind, rng.choice(_TEXT))


def _other_type(items: list[Any], rng: random.Random) -> None:
    item, tag, _ = _chosen(items, rng)
    _put(item, tag, rng.choice(_STRANGE), rng.choice((*_TEXT, rng.randbytes(8))))


def _without(items: list[Any], rng: random.Random) -> None:
    item, tag, _ = _chosen(items, rng)
    del item[tag]


def _structure(items: list[Any], rng: random.Random) -> None:
    """Empty sequences, missing, doubled or very many items."""
    nested = [(item, e.tag) for item in items for e in item if e.VR == "SQ"]
    if not nested:
        items[0].clear()
        return
    item, tag = rng.choice(nested)
    value = item[tag].value
    kept = rng.choice(([], list(value) * 2, list(value) * 500, [type(items[0])()]))
    value.clear()
    value.extend(kept)


def _chosen(items: list[Any], rng: random.Random) -> tuple[Any, Any, str]:
    there = [(item, e.tag, e.VR) for item in items for e in item if e.VR != "SQ"]
    return rng.choice(there)


def _put(item: Any, tag: Any, kind: str, value: bytes) -> None:
    from pydicom.dataelem import RawDataElement

    value += b" " * (len(value) % 2)
    item[tag] = RawDataElement(tag, kind, len(value), value, 0, False, True)


def _too_deep(content: bytes) -> bytes:
    """Put sequences within each other in front of the first sequence."""
    at = content.find(b"SQ\0\0") - 4
    if at < 0:
        return content
    tag, undefined = content[at : at + 4], struct.pack("<I", _UNDEFINED)
    opened = (tag + b"SQ\0\0" + undefined + _ITEM + undefined) * _DEEP
    closed = (b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)) * _DEEP
    return content[:at] + opened + closed + content[at:]

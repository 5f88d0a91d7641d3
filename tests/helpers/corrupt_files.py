"""Corrupt files, derived from valid ones by a seed, and a script that reads them.

``python -m helpers.corrupt_files FOLDER FIRST COUNT`` reads COUNT of them and prints failures. A
reader may succeed or raise a `CimlError`; a crash, five seconds of work without an answer, or
memory past the limit end the process, and the last seed it has named is to blame.
"""

import gzip
import json
import random
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.corrupt_dicom import in_sequence, sequence_length

SECONDS = 5
"""Of processor time, of all threads: how long an answer may take."""
PATIENCE = 30
"""Seconds on the clock, which goes on while other processes have the processor."""
MEMORY = 2 * 2**30
SOURCES = (
    "a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "four.nii.gz", "four.nrrd",
    "seg.nii.gz", "model.safetensors", "deco.yaml",
)  # fmt: skip
SERIES = ("mr", "pt", "frames", "rle", "jpeg", "jpeg2000", "pt-frames")
"""Folders of DICOM files."""
NESTED = ("pt", "frames", "pt-frames")
"""Those whose files have sequences."""

_ELEMENTS = {
    b"\x28\x00\x10\x00US": "whole", b"\x28\x00\x11\x00US": "whole",  # rows, columns
    b"\x28\x00\x02\x00US": "whole", b"\x28\x00\x08\x00IS": "text",  # samples, frames
    b"\x28\x00\x00\x01US": "whole", b"\x28\x00\x01\x01US": "whole",  # bits
    b"\x28\x00\x02\x01US": "whole", b"\x28\x00\x03\x01US": "whole",  # high bit, sign
    b"\x28\x00\x04\x00CS": "text", b"\x28\x00\x30\x00DS": "text",  # colours, spacing
    b"\x20\x00\x32\x00DS": "text", b"\x20\x00\x37\x00DS": "text",  # position, orientation
    b"\x20\x00\x13\x00IS": "text", b"\x20\x00\x0e\x00UI": "text",  # number, series
    b"\x28\x00\x52\x10DS": "text", b"\x28\x00\x53\x10DS": "text",  # intercept, slope
    b"\x08\x00\x16\x00UI": "text", b"\x02\x00\x10\x00UI": "syntax",  # class, transfer syntax
    b"\x18\x00\x75\x10DS": "text", b"\x54\x00\x01\x10CS": "text",  # half life, unit
}  # fmt: skip
"""Tags with their types, as they stand in a file, and what may be written there."""
_SPACES = (b"1\\0\\0\\0\\1\\0", b"1\\0\\0\\1\\0\\0", b"0\\0", b"1e-9\\1e-9", b"1e9\\1e9",
           b"nan\\nan\\nan", b"1e30\\0\\0", b"a\\b\\c", b"-2\\-2", b"\xff\xfe")  # fmt: skip
_SYNTAXES = (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99",
             b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.57", b"1.2.840.10008.1.2.4.80",
             b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.5", b"1.2.3")  # fmt: skip

Way = Callable[[bytes, random.Random], bytes]

_NIFTI_FIELDS = [("<h", at) for at in range(40, 56, 2)] + [
    ("<i", 0), ("<h", 70), ("<h", 72), ("<f", 80), ("<f", 84), ("<f", 88), ("<f", 108),
    ("<f", 112), ("<f", 116), ("<h", 252), ("<h", 254), ("<f", 256), ("<f", 268), ("<f", 280),
    ("<f", 284), ("<f", 300), ("<f", 320),
]  # fmt: skip
_WHOLE = (-32768, -1, 0, 1, 2, 3, 5, 7, 255, 9999, 32767)
_REAL = (float("nan"), float("inf"), -1.0, 0.0, 1e-30, 1e30, 1e9)
_TEXT = (b"0", b"-1", b"nan", b"inf", b"1e30", b"99999999999", b"0 0 0", b"65535 65535 65535", b"")


def make_sources(folder: Path) -> None:
    """Write a sound file of each kind."""
    import numpy as np
    import SimpleITK as sitk

    from helpers.checkpoints import tiny_info
    from napari_ciml.decomposition.presets import PRESETS
    from napari_ciml.network.checkpoint import save_checkpoint
    from napari_ciml.network.ciml import CIML

    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.normal(100, 20, (9, 10, 11)).astype(np.float32))
    image.SetSpacing((1.0, 1.5, 2.0))
    labels = sitk.GetImageFromArray(rng.integers(0, 4, (9, 10, 11)).astype(np.uint8))
    four = sitk.JoinSeries([image] * 4)
    for name in SOURCES[:8]:
        sitk.WriteImage(four if name.startswith("four") else image, str(folder / name))
    sitk.WriteImage(labels, str(folder / "seg.nii.gz"))
    info = tiny_info(PRESETS["brats2020"])
    save_checkpoint(folder / "model.safetensors", CIML(info.decomposition, info.network), info)
    (folder / "deco.yaml").write_text(PRESETS["brats2020"].to_yaml())
    _make_series(folder)


def _make_series(folder: Path) -> None:
    import pydicom
    from pydicom.uid import RLELossless

    from helpers.dicom_files import PET, pack, positions, tracer, write_enhanced, write_series
    from napari_ciml.cases.geometry import Grid

    grid = Grid((12, 10, 4), (1.0, 1.5, 2.0), (0.0, 0.0, 0.0))
    scaled = {"RescaleSlope": "2", "RescaleIntercept": "1"}
    for name in ("mr", "rle", "jpeg", "jpeg2000"):
        said = {"SeriesDescription": "T1"} | ({} if name.startswith("jpeg") else scaled)
        paths = write_series(folder / name, grid, positions(grid), shuffled=False, **said)
        for path in paths if name.startswith("jpeg") else ():
            pack(path, name.upper())
    uptake = PET | {"RadiopharmaceuticalInformationSequence": tracer()}
    write_series(folder / "pt", grid, positions(grid), "PT", shuffled=False, **uptake)
    write_enhanced(folder / "frames" / "1", grid, positions(grid), SeriesDescription="T1")
    write_enhanced(folder / "pt-frames" / "1", grid, positions(grid), "PT", **uptake)
    for path in (folder / "rle").iterdir():
        whole = pydicom.dcmread(path)
        whole.compress(RLELossless)
        whole.save_as(path)


def source_of(seed: int) -> str:
    """Return which sound file or series a seed damages."""
    names = (*SOURCES, *SERIES)
    return names[seed % len(names)]


def mutant(folder: Path, seed: int, target: Path) -> Path:
    """Write the file that a seed makes, into an empty folder; return it."""
    rng = random.Random(seed)
    name = source_of(seed)
    if name in SERIES:
        return _mutant_series(folder / name, rng, target)
    content = (folder / name).read_bytes()
    packed = name.endswith(".gz") and rng.random() < 0.8
    content = gzip.decompress(content) if packed else content
    ways: list[Way] = [_flip, _flip_early, _cut, _insert, _noise]
    if ".nii" in name and (packed or name.endswith(".nii")):
        ways += [_nifti_field] * 8 + [_bomb]
    if name.endswith((".nrrd", ".nhdr", ".mha", ".mhd", ".yaml")):
        ways += [_text_field] * 6
    if name.endswith(".safetensors"):
        ways += [_long_header, _strange_json] * 2
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(ways)(content, rng)
    path = target / name.replace("a.", "case_t1.")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    if name in ("a.nhdr", "a.mhd") and rng.random() < 0.8:
        for beside in folder.glob("a.raw*"):
            voxels = beside.read_bytes()
            (target / beside.name).write_bytes(_cut(voxels, rng) if rng.random() < 0.3 else voxels)
    return path


def _mutant_series(folder: Path, rng: random.Random, target: Path) -> Path:
    """Damage one file of a series, or all of them alike."""
    ways: list[Way] = [_flip, _flip_early, _cut, _insert, *[_element] * 6, *[_without_element] * 2]
    if folder.name in NESTED:
        ways += [in_sequence] * 12 + [sequence_length] * 4
    chosen = rng.choices(ways, k=rng.choice((1, 1, 2)))
    files = sorted(folder.iterdir())
    damaged = set(files) if rng.random() < 0.6 else {rng.choice(files)}
    again = rng.random()
    for file in files:
        content, alike = file.read_bytes(), random.Random(again)
        for way in chosen if file in damaged else ():
            content = way(content, alike)
        (target / file.name).with_suffix(".dcm").write_bytes(content)
    return target / "series.dcm"


def _element(content: bytes, rng: random.Random) -> bytes:
    """Another value of a DICOM element."""
    tag, kind = rng.choice(list(_ELEMENTS.items()))
    values = {
        "whole": [struct.pack("<H", value % 65536) for value in (*_WHOLE, 8, 12, 15, 16, 32, 64)],
        "text": [*_TEXT, *_SPACES],
        "syntax": list(_SYNTAXES),
    }
    value = rng.choice(values[kind])
    value += b" " * (len(value) % 2)
    return _with_element(content, tag, tag + struct.pack("<H", len(value)) + value)


def _without_element(content: bytes, rng: random.Random) -> bytes:
    return _with_element(content, rng.choice(list(_ELEMENTS)), b"")


def _with_element(content: bytes, tag: bytes, instead: bytes) -> bytes:
    at = content.find(tag)
    if at < 0 or at + 8 > len(content):
        return content
    (length,) = struct.unpack_from("<H", content, at + 6)
    return content[:at] + instead + content[at + 8 + length :]


def _flip(content: bytes, rng: random.Random, within: int | None = None) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if changed:
            changed[rng.randrange(min(len(changed), within or len(changed)))] ^= 1 << rng.randrange(
                8
            )
    return bytes(changed)


def _flip_early(content: bytes, rng: random.Random) -> bytes:
    return _flip(content, rng, 400)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((0, 1, rng.randint(0, 360), rng.randint(0, len(content))))]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 50)) + content[at:]


def _noise(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + rng.randbytes(len(content) - at)


def _nifti_field(content: bytes, rng: random.Random) -> bytes:
    form, at = rng.choice(_NIFTI_FIELDS)
    changed = bytearray(content)
    if len(changed) >= 348:
        struct.pack_into(form, changed, at, rng.choice(_REAL if form == "<f" else _WHOLE))
    return bytes(changed)


def _bomb(content: bytes, rng: random.Random) -> bytes:
    """A small file of zeros that claims to be, and sometimes is, far larger."""
    changed = bytearray(content[:352]).ljust(352, b"\0")
    edge = rng.choice((300, 2000, 30000))
    struct.pack_into("<3h", changed, 42, edge, edge, edge)
    return bytes(changed) + bytes(rng.choice((0, 2**20, 2**25)))


def _text_field(content: bytes, rng: random.Random) -> bytes:
    """Another value in one line of a text header."""
    lines = content.split(b"\n")
    k = rng.randrange(min(len(lines), 20))
    for mark in (b" = ", b": "):
        key, found, old = lines[k].partition(mark)
        if found:
            words = old.split() or [b""]
            words[rng.randrange(len(words))] = rng.choice(_TEXT)
            lines[k] = key + mark + rng.choice((b" ".join(words), rng.choice(_TEXT)))
            break
    if rng.random() < 0.1:
        lines.insert(k, rng.choice(lines))
    return b"\n".join(lines)


def _long_header(content: bytes, rng: random.Random) -> bytes:
    return struct.pack("<Q", rng.choice((0, 1, 2**31, 2**62, 2**64 - 1))) + content[8:]


def _strange_json(content: bytes, rng: random.Random) -> bytes:
    if len(content) < 8:
        return content
    header = content[8 : 8 + min(struct.unpack("<Q", content[:8])[0], len(content))]
    for word in rng.sample((b"1", b"true", b'"norm"', b"[", b'"labels"', b"0.", b"4.0"), 3):
        header = header.replace(word, rng.choice((b"-1", b"null", b'"x"', b"1e999", b"{")), 1)
    return struct.pack("<Q", len(header)) + header + content[8:][len(header) :]


def read(path: Path) -> None:
    """Read a file as the program does."""
    from napari_ciml.cases.case import open_case
    from napari_ciml.cases.writing import read_labels
    from napari_ciml.decomposition.model import Decomposition
    from napari_ciml.network.checkpoint_info import read_info

    if path.suffix == ".yaml":
        Decomposition.read(path).validated()
    elif path.suffix == ".safetensors":
        read_info(path)
    elif path.name.startswith("seg"):
        read_labels(path)
    else:
        open_case(path if path.name.startswith("four") else path.parent)


def main(folder: Path, first: int, count: int) -> None:
    """Read mutants; print a line of JSON for each that is answered in the wrong way."""
    import tempfile

    from napari_ciml.errors import CimlError

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for seed in range(first, first + count):
        sys.stdout.write(f"{seed}\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as place:
            path = mutant(folder, seed, Path(place))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(PATIENCE)
            try:
                read(path)
                wrong = ""
            except CimlError as error:
                text = str(error)
                wrong = "" if text.strip() and "\n" not in text else f"not one sentence: {text!r}"
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong = f"{type(error).__name__}: {error}"[:300]
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
        if wrong:
            sys.stdout.write(json.dumps([seed, source_of(seed), wrong]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

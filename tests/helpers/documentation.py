"""Read the documentation: its pages, code blocks, command lines and links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from helpers.paths import ROOT

PROGRAM = "napari-ciml"
SHELLS = ("sh", "bat", "console")
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|a)[^>]* (?:src|href)=[\"']([^\"']+)")


def pages() -> list[Path]:
    """Return the README, the other texts at the top, and every page below ``docs``."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def code_blocks(page: Path, *languages: str) -> Iterator[str]:
    """Yield the fenced blocks in one of the languages."""
    for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every ``napari-ciml`` command line, in blocks and in sentences."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line
        for block in code_blocks(page, *SHELLS)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    lines += _INLINE.findall(_FENCE.sub("", text))
    for line in lines:
        program, *arguments = _split(line) or [""]
        if re.split(r"[/\\]", program)[-1] == PROGRAM and arguments:
            yield arguments


def links(page: Path) -> Iterator[str]:
    """Yield the targets of links and images that are files of the repository."""
    text = re.sub(_INLINE, "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in (first or second for first, second in _LINK.findall(text)):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line.replace("\\", "/"), comments=line.lstrip().startswith("#"))
    except ValueError:
        return []

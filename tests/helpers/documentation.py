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
    """Yield the arguments of every ``napari-ciml`` command line, in blocks and in sentences.

    Of a command that a sentence only names, its name and ``--help``.
    """
    text = page.read_text(encoding="utf-8")
    for block in code_blocks(page, *SHELLS):
        for line in block.replace("\\\n", " ").splitlines():
            if arguments := _arguments(line):
                yield arguments
    for code in _INLINE.findall(_FENCE.sub("", text)):
        if arguments := _arguments(code):
            named = len(arguments) < 3 and not any(one.startswith("-") for one in arguments)
            yield [arguments[0], "--help"] if named else arguments


def links(page: Path) -> Iterator[str]:
    """Yield the targets of links and images that are files of the repository."""
    text = re.sub(_INLINE, "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in (first or second for first, second in _LINK.findall(text)):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]


def source_files(page: Path) -> Iterator[str]:
    """Yield the Python files, with their folder, that sentences name."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in _INLINE.findall(text):
        if re.fullmatch(r"[\w.]+(/[\w.]+)+\.py", code):
            yield code


def option_names(page: Path) -> Iterator[str]:
    """Yield the long options that sentences and tables name."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in _INLINE.findall(text):
        yield from re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)


def _arguments(line: str) -> list[str]:
    """Return what follows the program's name; nothing if the line is of another program."""
    try:
        words = shlex.split(line.replace("\\", "/"), comments=True)
    except ValueError:
        return []
    return words[1:] if words and words[0].split("/")[-1] == PROGRAM else []

"""Every command line, link and snippet of the documentation holds."""

import argparse
from functools import cache
from pathlib import Path

import pytest

from helpers.documentation import (
    code_blocks,
    command_lines,
    links,
    option_names,
    pages,
    source_files,
)
from helpers.paths import ROOT
from napari_ciml.cli.main import build_parser

GENERATED = ROOT / "docs" / "reference" / "api"
"""Pages that the documentation's build writes."""

NOTES = ROOT / "docs" / "explanation" / "studies"
"""Texts that are put into pages of the folder above."""

PLACEHOLDERS = {"N": "3", "COMMAND": "segment"}
"""Arguments that stand for another, with one that the parser accepts."""


def by_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def exit_status(arguments: list[str]) -> object:
    try:
        build_parser().parse_args(arguments)
    except SystemExit as end:
        return end.code
    return 0


@cache
def known_options() -> frozenset[str]:
    parsers: list[argparse.ArgumentParser] = [build_parser()]
    for action in parsers[0]._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return frozenset(
        name for parser in parsers for action in parser._actions for name in action.option_strings
    )


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_command_lines_parse(page: Path) -> None:
    for arguments in command_lines(page):
        line = f"napari-ciml {' '.join(arguments)}"
        assert exit_status([PLACEHOLDERS.get(one, one) for one in arguments]) == 0, line


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_named_options_exist(page: Path) -> None:
    if page.name != "CHANGELOG.md":  # It names those of before, too.
        assert set(option_names(page)) <= known_options()


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in links(page):
        folder = page.parent.parent if page.parent == NOTES else page.parent
        path = (folder / target).resolve()
        assert path.exists() or path.is_relative_to(GENERATED), target


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_python_snippets_compile(page: Path) -> None:
    for snippet in code_blocks(page, "python", "py"):
        compile(snippet, str(page), "exec")


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_named_source_files_exist(page: Path) -> None:
    for name in source_files(page):
        assert (ROOT / name).is_file() or (ROOT / "src" / "napari_ciml" / name).is_file(), name


def test_the_readme_shows_commands_that_are_checked() -> None:
    assert len(list(command_lines(ROOT / "README.md"))) >= 4

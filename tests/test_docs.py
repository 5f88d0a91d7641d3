"""Every command line, option, link, file and snippet of the documentation holds."""

import argparse
from functools import cache
from pathlib import Path

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


@cache
def parser() -> argparse.ArgumentParser:
    return build_parser()


def exit_status(arguments: list[str]) -> object:
    try:
        parser().parse_args([PLACEHOLDERS.get(argument, argument) for argument in arguments])
    except SystemExit as end:
        return end.code
    return 0


def known_options() -> set[str]:
    parsers = [parser()]
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return {name for one in parsers for action in one._actions for name in action.option_strings}


def target_exists(page: Path, target: str) -> bool:
    folder = page.parent.parent if page.parent == NOTES else page.parent
    path = (folder / target).resolve()
    return path.exists() or path.is_relative_to(GENERATED)


def source_exists(name: str) -> bool:
    return any((folder / name).is_file() for folder in (ROOT, ROOT / "src" / "napari_ciml"))


def test_command_lines_parse() -> None:
    lines = [(page.name, arguments) for page in pages() for arguments in command_lines(page)]
    assert len(lines) > 40
    assert [line for line in lines if exit_status(line[1]) != 0] == []


def test_named_options_exist() -> None:
    known = known_options()
    present = [page for page in pages() if page.name != "CHANGELOG.md"]  # It names former ones too.
    names = [(page.name, name) for page in present for name in option_names(page)]
    assert len(names) > 40
    assert [name for name in names if name[1] not in known] == []


def test_links_and_pictures_exist() -> None:
    targets = [(page, target) for page in pages() for target in links(page)]
    assert len(targets) > 100
    assert [pair for pair in targets if not target_exists(*pair)] == []


def test_named_source_files_exist() -> None:
    names = [(page.name, name) for page in pages() for name in source_files(page)]
    assert names
    assert [name for name in names if not source_exists(name[1])] == []


def test_python_snippets_compile() -> None:
    snippets = [(page, text) for page in pages() for text in code_blocks(page, "python", "py")]
    assert snippets
    for page, text in snippets:
        compile(text, str(page), "exec")

"""Every command line, link and snippet of the documentation holds."""

from pathlib import Path

import pytest

from helpers.documentation import code_blocks, command_lines, links, pages
from helpers.paths import ROOT
from napari_ciml.cli.main import build_parser

GENERATED = ROOT / "docs" / "reference" / "api"
"""Pages that the documentation's build writes."""

PLACEHOLDERS = {"N": "3", "MM": "2", "SHARE": "0.5", "PRIMARY:AUX": "T2:T1"}
"""Arguments that stand for a number or a message, with one that the parser accepts."""


def by_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_command_lines_parse(page: Path) -> None:
    for arguments in command_lines(page):
        try:
            build_parser().parse_args([PLACEHOLDERS.get(one, one) for one in arguments])
        except SystemExit as end:
            assert end.code == 0, f"napari-ciml {' '.join(arguments)}"


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in links(page):
        path = (page.parent / target).resolve()
        assert path.exists() or path.is_relative_to(GENERATED), target


@pytest.mark.parametrize("page", pages(), ids=by_name)
def test_python_snippets_compile(page: Path) -> None:
    for snippet in code_blocks(page, "python", "py"):
        compile(snippet, str(page), "exec")


def test_the_readme_shows_commands_that_are_checked() -> None:
    assert len(list(command_lines(ROOT / "README.md"))) >= 5

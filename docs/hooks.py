"""MkDocs hooks: write the command-line reference and the API pages at build time."""

import argparse
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PACKAGE = "napari_ciml"
SOURCE = Path(__file__).parents[1] / "src"
COMMANDS = "reference/command-line.md"
API = "reference/api"
PLACEHOLDER = "<!-- options of all commands -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the end of *Reference* in the navigation."""
    pages: list[Any] = [f"{API}/index.md"]
    pages += [{name.partition(".")[2] or "top level": _page(name)} for name, _ in _packages()]
    assert config.nav is not None
    for section in config.nav:
        if "Reference" in section:
            section["Reference"].append({"API": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Generate one page per package and an index of them."""
    index = ["# API", "", "Generated from the docstrings, one page per package.", ""]
    for name, modules in _packages():
        index.append(f"- [`{name}`]({Path(_page(name)).name})")
        text = [f"# {name}", "", _summary(name), ""]
        for module in modules:
            text += [f"## {module}", "", f"::: {module}", "    options:"]
            text += ["      show_root_heading: false", "      show_root_toc_entry: false", ""]
        files.append(File.generated(config, _page(name), content="\n".join(text)))
    files.append(File.generated(config, f"{API}/index.md", content="\n".join(index)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Put the options of all commands into the command-line reference."""
    if page.file.src_uri != COMMANDS:
        return markdown
    assert PLACEHOLDER in markdown
    return markdown.replace(PLACEHOLDER, "\n".join(_commands()))


def _page(package: str) -> str:
    return f"{API}/{package.partition('.')[2] or 'top-level'}.md"


def _packages() -> Iterator[tuple[str, list[str]]]:
    """Yield every package with its modules, itself first if it has code."""
    names = {PACKAGE: SOURCE / PACKAGE}
    for info in pkgutil.walk_packages([str(SOURCE / PACKAGE)], f"{PACKAGE}."):
        if info.ispkg:
            names[info.name] = SOURCE / Path(*info.name.split("."))
    for name, folder in names.items():
        files = sorted(folder.glob("[a-z]*.py"))
        if files:
            yield name, [f"{name}.{file.stem}" for file in files]


def _summary(package: str) -> str:
    text = (SOURCE / Path(*package.split(".")) / "__init__.py").read_text(encoding="utf-8")
    return text.split('"""')[1].strip() if text.startswith('"""') else ""


def _commands() -> Iterator[str]:
    from napari_ciml.cli.main import build_parser

    (commands,) = build_parser()._subparsers._group_actions  # type: ignore[union-attr]
    for name, parser in commands.choices.items():  # type: ignore[union-attr, attr-defined]
        yield f"## {name}"
        yield ""
        yield parser.description or next(
            action.help for action in commands._choices_actions if action.dest == name
        )
        yield ""
        parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=88)
        yield f"```text\n{parser.format_usage()}```"
        yield ""
        yield "| argument | meaning | default |"
        yield "|---|---|---|"
        yield from map(_row, parser._actions[1:])
        yield ""


def _row(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    name = ", ".join(action.option_strings) or str(value)
    if action.option_strings and action.nargs != 0:
        name += f" {value if not action.choices or action.metavar else ''}".rstrip()
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    text = " ".join((action.help or "").split()).replace("%(default)s", str(action.default))
    meaning = ". ".join(part for part in (text.replace("|", "\\|"), choices) if part)
    shown = action.default not in (None, False, argparse.SUPPRESS, [])
    return f"| `{name}` | {meaning} | {f'`{action.default}`' if shown else ''} |"

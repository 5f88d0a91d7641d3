"""Argument parser and entry point; an error is one line on stderr and exit status 2."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from napari_ciml import __version__
from napari_ciml.cli import (
    bench_command,
    demo_command,
    doctor_command,
    evaluate_command,
    explain_command,
    finetune_command,
    measure_command,
    open_command,
    phantom_command,
    reproduce_command,
    segment_command,
    train_command,
)
from napari_ciml.errors import CancelledError, CimlError

_COMMANDS = (
    demo_command,
    open_command,
    segment_command,
    explain_command,
    evaluate_command,
    train_command,
    finetune_command,
    measure_command,
    phantom_command,
    reproduce_command,
    bench_command,
    doctor_command,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; the parsed ``run`` is the function to call."""
    parser = _Parser(
        prog="napari-ciml",
        description="Segment multimodal medical images and see what each modality added (CIML).",
    )
    parser.add_argument("--version", action="version", version=f"napari-ciml {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    args = build_parser().parse_args(arguments)
    try:
        args.run(args)
    except CimlError as error:
        print(f"napari-ciml: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, CancelledError):
        print("napari-ciml: stopped.", file=sys.stderr)
        return 130
    return 0

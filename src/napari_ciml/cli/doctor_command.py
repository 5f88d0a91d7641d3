"""``napari-ciml doctor``."""

import argparse

from napari_ciml.errors import CimlError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="versions, devices, sample data: what works here")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> None:
    """Print the report; fail if segmenting does not work."""
    from napari_ciml.cli.doctor import render, run_checks

    found = run_checks()
    print(render(found))
    if not found.can_segment:
        raise CimlError("segmenting does not work here; see the lines marked above.")

"""``napari-ciml doctor``."""

import argparse

from napari_ciml.errors import CimlError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="check this installation: versions, devices, engines, sample data"
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> None:
    """Print the report; fail if segmentation does not work."""
    from napari_ciml.cli.doctor import render, run_checks

    report = run_checks()
    print(render(report))
    if not report.can_segment:
        raise CimlError("segmentation does not work here; see the lines marked above.")

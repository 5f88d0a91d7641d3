"""``napari-ciml demo``."""

import argparse
from pathlib import Path

from napari_ciml.cli import virtual_display


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("demo", help="open the sample case, segmented and explained")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write results and screenshots there and exit"
    )
    parser.add_argument(
        "--guide", type=Path, metavar="DIR", help="write the pictures of the documentation and exit"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Open the viewer on the sample case, or write screenshots and results."""
    virtual_display.ensure_display(args.output is not None or args.guide is not None)
    from napari_ciml.widgets.launch import show_demo, show_guide

    if args.guide is not None:
        show_guide(args.guide)
    else:
        show_demo(args.output)

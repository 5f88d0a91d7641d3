"""``napari-ciml open``."""

import argparse
from pathlib import Path

from napari_ciml.cli import options, virtual_display


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("open", help="open a case in napari")
    options.add_case(parser)
    options.add_inference(parser)
    parser.add_argument("--run", dest="segment", action="store_true", help="segment and explain it")
    parser.add_argument(
        "--screenshot", type=Path, metavar="PNG", help="save a screenshot of the window and exit"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Open the viewer."""
    virtual_display.ensure_display(args.screenshot is not None)
    from napari_ciml.widgets.launch import LaunchOptions, open_viewer

    launch_options = LaunchOptions(
        case=args.case,
        channels=options.channels(args),
        overrides=options.overrides(args),
        reference=args.reference,
        align=options.alignment(args),
        find_brain=options.brain_finder(args.brain_mask),
        quiet_skull=args.brain_mask == "off",
        checkpoint=options.checkpoint_path(args),
        decomposition=options.decomposition(args.decomposition) if args.decomposition else None,
        settings=options.settings(args),
    )
    open_viewer(launch_options, run=args.segment, screenshot=args.screenshot)

"""``napari-ciml explain``."""

import argparse
import time

from napari_ciml.cli import options
from napari_ciml.cli.segment_command import add_arguments, segment_case, tell, write


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain", help="segment a case and map what each auxiliary modality added"
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Segment, explain, write, tell."""
    heard = options.monitor()
    done = segment_case(args, heard)

    from napari_ciml.explanation.explain import explain
    from napari_ciml.export.results import weights_csv

    start = time.perf_counter()
    explanation = explain(done.case, done.checkpoint, done.segmentation, heard)
    done.segmentation.seconds["explain"] = round(time.perf_counter() - start, 3)
    for notice in explanation.notices:
        heard.notify(notice)
    write(args, done, explanation, heard)
    tell(done.segmentation)
    print(weights_csv(explanation), end="")

"""``napari-ciml explain``."""

import argparse
import time

from napari_ciml.cli import options
from napari_ciml.cli.segment_command import add_arguments, print_summary, segment_case, write


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain", help="segment a case and map what each auxiliary modality added"
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Segment and explain a case; write the results and print the weights."""
    monitor = options.monitor()
    result = segment_case(args, monitor)

    from napari_ciml.explanation.explain import explain
    from napari_ciml.export.results import weights_csv

    start = time.perf_counter()
    explanation = explain(result.case, result.checkpoint, result.segmentation, monitor)
    result.segmentation.seconds["explain"] = round(time.perf_counter() - start, 3)
    for notice in explanation.notices:
        monitor.notify(notice)
    write(args, result, explanation, monitor)
    print_summary(result.segmentation)
    print(weights_csv(explanation), end="")

"""One contender in a process of its own, so that its peak of memory and its caches are its own.

Called as ``python -m napari_ciml.research.bench CONTENDER SETUP``. Lines on stdout are JSON: steps,
at the end the result. Whatever libraries print goes to stderr. It ends when stdin does, that is
with whoever started it, however that one ended.
"""

import json
import os
import sys
from importlib import import_module
from threading import Thread

from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig

CONTENDERS = {
    "prepare": ("prepare", "prepare"),
    "cold": ("ours", "cold"),
    "warm": ("ours", "warm"),
    "torch": ("ours", "plain_torch"),
    "monai 0.5": ("monai_reference", "half_overlap"),
    "monai 0.25": ("monai_reference", "quarter_overlap"),
    "gradcam": ("gradcam_reference", "explain_pair_by_pair"),
    "nnunet": ("nnunet_reference", "without_mirroring"),
    "nnunet mirrored": ("nnunet_reference", "with_mirroring"),
    "window": ("window", "segment_in_the_window"),
}
"""Module and function by name; only the one that runs is imported."""


def main() -> None:
    """Run the contender named."""
    Thread(target=_end_with_the_caller, daemon=True).start()
    contender, setup = sys.argv[1], BenchConfig.model_validate_json(sys.argv[2])
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**what: object) -> None:
        print(json.dumps(what), file=lines, flush=True)

    def report(progress: Progress) -> None:
        say(stage=progress.stage, done=progress.done, total=progress.total)

    module, function = CONTENDERS[contender]
    measure = getattr(import_module(f"napari_ciml.research.bench.{module}"), function)
    say(result=measure(setup, ProgressMonitor(report=report)))


def _end_with_the_caller() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

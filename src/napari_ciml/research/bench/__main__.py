"""Run one contender in a process of its own, so that its peak memory and caches are its own.

Called as ``python -m napari_ciml.research.bench CONTENDER CONFIG``. Lines on stdout are JSON:
progress steps, then the result. Output of libraries goes to stderr. The process ends when its stdin
is closed, that is with its parent, however that one ended.
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
    "window": ("window", "segment_in_window"),
}
"""Module and function by contender; only the requested module is imported."""


def main() -> None:
    """Run the requested contender."""
    Thread(target=_exit_with_parent, daemon=True).start()
    contender, config = sys.argv[1], BenchConfig.model_validate_json(sys.argv[2])
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**message: object) -> None:
        print(json.dumps(message), file=lines, flush=True)

    def report(progress: Progress) -> None:
        send(stage=progress.stage, done=progress.done, total=progress.total)

    module, function = CONTENDERS[contender]
    measure = getattr(import_module(f"napari_ciml.research.bench.{module}"), function)
    send(result=measure(config, ProgressMonitor(report=report)))


def _exit_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

"""Doing a study: its runs side by side, and what they found in one table."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from napari_ciml.decomposition.presets import DEFAULT
from napari_ciml.errors import CancelledError
from napari_ciml.files import ensure_writable_folder, write_json, write_table
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.studies.catalogue import BudgetName, Study, study
from napari_ciml.research.studies.data import Split, puzzles, real_cases
from napari_ciml.research.studies.runs import Run, perform
from napari_ciml.training.settings import Hardware, TrainSettings

SEEDS = (0, 1, 2)


def reproduce(
    name: str,
    budget: BudgetName,
    output: Path,
    monitor: ProgressMonitor,
    *,
    data: Path | None = None,
    preset: str = DEFAULT,
    device: str = "auto",
    jobs: int | None = None,
) -> Path:
    """Do the runs of a study that are not done yet, and write its table.

    Parameters
    ----------
    name : str
        One of `STUDIES`.
    budget : {"small", "paper"}
        ``paper`` is section 4.2 and needs ``data``.
    output : pathlib.Path
        ``runs`` in it is shared by all studies; the table goes into ``studies``.
    monitor : Monitor
        Told after each run; cancelling keeps every epoch done.
    data : pathlib.Path, optional
        A data set; the made-up volumes by default.
    preset : str
        Of ``data``.
    device : str
        As `Hardware`.
    jobs : int, optional
        Runs at the same time; by default one for each core, or one on a graphics card.

    Returns
    -------
    pathlib.Path
        The table.
    """
    chosen = study(name, budget, preset)
    split = make_split(output, data, chosen.variants[0].settings, monitor)
    runs = study_runs(chosen, output, split.name)
    waiting = [run for run in runs if not run.done]
    hardware, count = _hardware(device, jobs)
    monitor.step(f"Runs of {name}", len(runs) - len(waiting), len(runs))
    if count == 1 or len(waiting) < 2:
        for done, run in enumerate(waiting):
            monitor.step(f"Runs of {name}", len(runs) - len(waiting) + done, len(runs))
            perform(run, split, hardware, monitor)
            write_study(chosen, runs, output)
    else:
        for done, _ in enumerate(_side_by_side(waiting, split, hardware, count, monitor), 1):
            write_study(chosen, runs, output)
            monitor.step(f"Runs of {name}", len(runs) - len(waiting) + done, len(runs))
    return write_study(chosen, runs, output)


def study_runs(chosen: Study, output: Path, data: str) -> list[Run]:
    """Return every run of a study: all variants with the first seed, then with the next."""
    root = ensure_writable_folder(output / "runs")
    return [Run(variant, seed, root, data) for seed in SEEDS for variant in chosen.variants]


def write_study(chosen: Study, runs: list[Run], output: Path) -> Path:
    """Write the scores of all runs done, and the settings that they can be repeated from."""
    folder = ensure_writable_folder(output / TABLES)
    done = [run for run in runs if run.done]
    first: dict[str, Run] = {}
    for run in done:
        first.setdefault(run.variant.name, run)
    about = {
        "study": chosen.name,
        "data": runs[0].data,
        "reference": chosen.reference,
        "variants": {name: _about(run) for name, run in first.items()},
    }
    write_json(folder / f"{chosen.name}.json", about)
    return write_table(folder / f"{chosen.name}.csv", [row for run in done for row in _rows(run)])


def _rows(run: Run) -> list[dict[str, object]]:
    return [
        {
            "variant": run.variant.name,
            "seed": run.seed,
            "case": one.case,
            "region": one.region,
            "dice": f"{one.dice:.4f}",
            "hd95_mm": f"{one.hd95_mm:.3f}",
        }
        for one in run.scores()
    ]


def _about(run: Run) -> dict[str, object]:
    return {
        "run": run.folder.name,
        "baseline": run.variant.baseline,
        **asdict(run.cost()),
        "settings": run.variant.settings.model_dump(mode="json", exclude={"seed"}),
    }


def make_split(
    output: Path, data: Path | None, settings: TrainSettings, monitor: ProgressMonitor
) -> Split:
    """Return the cases of a study: made up, or those of the data set given."""
    if data is None:
        monitor.step("Making volumes")
        return puzzles()
    return real_cases(data, settings, output / "cache", monitor)


def _hardware(device: str, jobs: int | None) -> tuple[Hardware, int]:
    from napari_ciml.inference.device import choose_device

    kind = choose_device(device).type
    if kind != "cpu":
        return Hardware(device=kind, workers=4), jobs or 1
    return Hardware(device=kind, workers=0), jobs or os.cpu_count() or 1


def _side_by_side(
    runs: list[Run], split: Split, hardware: Hardware, jobs: int, monitor: ProgressMonitor
) -> Iterator[None]:
    """Do runs in processes of their own, each with its share of the cores."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with (
        _threads(threads),
        ProcessPoolExecutor(jobs, context, _begin, (split, hardware, stop, threads)) as pool,
    ):
        futures = [pool.submit(_perform, run) for run in runs]
        try:
            for future in as_completed(futures):
                future.result()
                monitor.raise_if_cancelled()
                yield
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes started here use so many threads: OpenMP reads this once, when it is loaded."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


_work: tuple[Split, Hardware, ProgressMonitor] | None = None
"""What a process of the pool was given when it began."""


def _begin(split: Split, hardware: Hardware, stop: object, threads: int) -> None:
    import torch

    global _work
    torch.set_num_threads(threads)
    _work = split, hardware, ProgressMonitor(stop=stop)  # type: ignore[arg-type]


def _perform(run: Run) -> None:
    assert _work is not None
    split, hardware, monitor = _work
    try:
        perform(run, split, hardware, monitor)
    except CancelledError:
        return

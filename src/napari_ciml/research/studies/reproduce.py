"""Run a study of the catalogue: train its variants, in parallel, and write one table."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_ciml.decomposition.presets import DEFAULT
from napari_ciml.errors import CancelledError
from napari_ciml.files import ensure_writable_folder, write_json, write_table
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.studies.catalogue import BudgetName, Study, study
from napari_ciml.research.studies.data import Split, real_cases, synthetic_cases
from napari_ciml.research.studies.runs import Run, perform
from napari_ciml.training.settings import Hardware, TrainSettings

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class StudyOptions:
    """Data and hardware of a study.

    Parameters
    ----------
    data : pathlib.Path, optional
        Data set; synthetic volumes by default.
    preset : str
        Decomposition of ``data``.
    device : str
        Device, as in `Hardware`.
    jobs : int, optional
        Number of parallel runs; by default one per core, or one on a graphics card.
    """

    data: Path | None = None
    preset: str = DEFAULT
    device: str = "auto"
    jobs: int | None = None


def reproduce(
    name: str,
    budget: BudgetName,
    output: Path,
    monitor: ProgressMonitor,
    options: StudyOptions | None = None,
) -> Path:
    """Perform the runs of a study that are not done yet, and write its table.

    Parameters
    ----------
    name : str
        One of `STUDIES`.
    budget : {"small", "paper"}
        ``paper`` is section 4.2 and needs a data set.
    output : pathlib.Path
        Output folder: ``runs`` in it is shared by all studies; the table goes into ``studies``.
    monitor : ProgressMonitor
        Receives a step after each run; cancelling keeps every finished epoch.
    options : StudyOptions, optional
        Data and hardware.

    Returns
    -------
    pathlib.Path
        The table.
    """
    options = options or StudyOptions()
    chosen = study(name, budget, options.preset)
    split = make_split(output, options.data, chosen.variants[0].settings, monitor)
    runs = study_runs(chosen, output, split.name)
    waiting = [run for run in runs if not run.done]
    finished = len(runs) - len(waiting)
    hardware, jobs = _hardware(options.device, options.jobs)
    monitor.step(f"Runs of {name}", finished, len(runs))
    if jobs == 1 or len(waiting) < 2:
        for k, run in enumerate(waiting):
            monitor.step(f"Runs of {name}", finished + k, len(runs))
            perform(run, split, hardware, monitor)
            write_study(chosen, runs, output)
    else:
        for k, _ in enumerate(_perform_in_parallel(waiting, split, hardware, jobs, monitor), 1):
            write_study(chosen, runs, output)
            monitor.step(f"Runs of {name}", finished + k, len(runs))
    return write_study(chosen, runs, output)


def study_runs(chosen: Study, output: Path, data: str) -> list[Run]:
    """Return the runs of a study: all variants with the first seed, then with the next."""
    root = ensure_writable_folder(output / "runs")
    return [Run(variant, seed, root, data) for seed in SEEDS for variant in chosen.variants]


def write_study(chosen: Study, runs: list[Run], output: Path) -> Path:
    """Write the scores of all finished runs, and the settings to repeat them."""
    folder = ensure_writable_folder(output / TABLES)
    finished = [run for run in runs if run.done]
    first: dict[str, Run] = {}
    for run in finished:
        first.setdefault(run.variant.name, run)
    about = {
        "study": chosen.name,
        "data": runs[0].data,
        "reference": chosen.reference,
        "variants": {name: _about(run) for name, run in first.items()},
    }
    write_json(folder / f"{chosen.name}.json", about)
    rows = [row for run in finished for row in _rows(run)]
    return write_table(folder / f"{chosen.name}.csv", rows)


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
    """Return the cases of a study: synthetic volumes, or those of a data set."""
    if data is None:
        monitor.step("Making volumes")
        return synthetic_cases()
    return real_cases(data, settings, output / "cache", monitor)


def _hardware(device: str, jobs: int | None) -> tuple[Hardware, int]:
    from napari_ciml.inference.device import choose_device

    kind = choose_device(device).type
    if kind != "cpu":
        return Hardware(device=kind, workers=4), jobs or 1
    return Hardware(device=kind, workers=0), jobs or os.cpu_count() or 1


def _perform_in_parallel(
    runs: list[Run], split: Split, hardware: Hardware, jobs: int, monitor: ProgressMonitor
) -> Iterator[None]:
    """Perform runs in parallel processes, among which the cores are divided."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    arguments = (split, hardware, stop, threads)
    with (
        _openmp_threads(threads),
        ProcessPoolExecutor(jobs, context, _initialise, arguments) as pool,
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
def _openmp_threads(count: int) -> Iterator[None]:
    """Set the OpenMP threads of child processes; OpenMP reads the variable when it is loaded."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


_work: tuple[Split, Hardware, ProgressMonitor] | None = None
"""Arguments of a process of the pool, set by `_initialise`."""


def _initialise(split: Split, hardware: Hardware, stop: object, threads: int) -> None:
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

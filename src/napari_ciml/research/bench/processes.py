"""Contenders as processes: started, listened to, ended."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from threading import Event, Timer
from typing import Any

import psutil

from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BenchConfig

_GRACE = 2.0
"""Seconds that a process has to end by itself, so that a virtual display is taken down."""


@dataclass(frozen=True)
class Answer:
    """What a contender came to: its result, or why there is none."""

    result: dict[str, Any] | None
    reason: str = ""


def run_contender(
    contender: str,
    setup: BenchConfig,
    monitor: ProgressMonitor,
    *before: str,
    seconds: float | None = None,
) -> Answer:
    """Run a contender to its end.

    Parameters
    ----------
    contender : str
        A key of `napari_ciml.research.bench.__main__.CONTENDERS`.
    setup : Setup
        Of the run.
    monitor : Monitor
        Hears its steps; whatever ends this call ends the contender too.
    *before : str
        A command that runs it, such as ``xvfb-run -a``.
    seconds : float, optional
        After so many it is ended.
    """
    command = [*before, sys.executable, "-m", "napari_ciml.research.bench", contender]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            [*command, setup.model_dump_json()],
            stdout=subprocess.PIPE,
            stderr=complaints,
            stdin=subprocess.PIPE,  # never written to; it ends when we do
            env=os.environ | _own_caches(setup),
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is ours to handle
        ) as process,
    ):
        late = Event()

        def end() -> None:
            late.set()
            _end(process)

        timer = Timer(threading.TIMEOUT_MAX if seconds is None else seconds, end)
        timer.daemon = True
        timer.start()
        try:
            result = _listen(process, monitor)
            status = process.wait()
        finally:
            timer.cancel()
            _end(process)
        if late.is_set():
            return Answer(None, f"was ended after {seconds:.0f} s: no time was left (--minutes)")
        if result is not None and status == 0:
            return Answer(result)
        return Answer(None, _why(status, complaints))


def display() -> tuple[str, ...] | None:
    """Return the command that gives a contender a display; empty if there is one, None if none."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ()
    return ("xvfb-run", "-a") if shutil.which("xvfb-run") else None


def _own_caches(setup: BenchConfig) -> dict[str, str]:
    """Keep compiled networks and napari's settings with the run: what is cold stays so."""
    cache = setup.folder / "cache"
    return {
        "XDG_CACHE_HOME": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "NAPARI_CONFIG": str(setup.folder / "napari.yaml"),
    }


def _listen(process: "subprocess.Popen[str]", monitor: ProgressMonitor) -> dict[str, Any] | None:
    result = None
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("{"):  # of whoever gives the display
            continue
        said = json.loads(line)
        if "result" in said:
            result = said["result"]
        else:
            monitor.step(said["stage"], said["done"], said["total"])
    return result


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process and all that it started, if it still runs."""
    if process.poll() is not None:
        return
    try:
        whole = psutil.Process(process.pid)
        family = [*whole.children(recursive=True), whole]
    except psutil.NoSuchProcess:
        return
    for how in (psutil.Process.terminate, psutil.Process.kill):
        for member in family:
            if member.is_running():
                how(member)
        _, family = psutil.wait_procs(family, timeout=_GRACE)


def _why(status: int, complaints: Any) -> str:
    complaints.seek(0)
    lines = [line.strip() for line in complaints if line.strip()]
    said = lines[-1] if lines else "nothing was said"
    if status < 0:
        return f"ended by signal {-status}, as when memory is full ({said})"
    return f"failed: {said}"

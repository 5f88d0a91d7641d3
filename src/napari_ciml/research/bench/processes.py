"""Start, monitor and terminate the processes of contenders."""

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

_GRACE_S = 2.0
"""Time for a process to terminate by itself, so that a virtual display is taken down."""


@dataclass(frozen=True)
class Answer:
    """Result of a contender, or the reason why there is none."""

    result: dict[str, Any] | None
    reason: str = ""


def run_contender(
    contender: str,
    config: BenchConfig,
    monitor: ProgressMonitor,
    *prefix: str,
    seconds: float | None = None,
) -> Answer:
    """Run a contender in a process of its own.

    Parameters
    ----------
    contender : str
        A key of `napari_ciml.research.bench.__main__.CONTENDERS`.
    config : BenchConfig
        Configuration of the run.
    monitor : ProgressMonitor
        Receives the steps of the contender; any exception in this call terminates the process.
    *prefix : str
        Command to run it with, such as ``xvfb-run -a``.
    seconds : float, optional
        Time limit, after which it is terminated.
    """
    command = [*prefix, sys.executable, "-m", "napari_ciml.research.bench", contender]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr,
        subprocess.Popen(
            [*command, config.model_dump_json()],
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.PIPE,  # never written to; it is closed when this process ends
            env=os.environ | _separate_caches(config),
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is handled here
        ) as process,
    ):
        is_late = Event()

        def stop_late() -> None:
            is_late.set()
            _terminate(process)

        timer = Timer(threading.TIMEOUT_MAX if seconds is None else seconds, stop_late)
        timer.daemon = True
        timer.start()
        try:
            result = _read_lines(process, monitor)
            status = process.wait()
        finally:
            timer.cancel()
            _terminate(process)
        if is_late.is_set():
            reason = f"was terminated after {seconds:.0f} s: the time is up (--minutes)"
            return Answer(None, reason)
        if result is not None and status == 0:
            return Answer(result)
        return Answer(None, _failure(status, stderr))


def display() -> tuple[str, ...] | None:
    """Return the command that provides a display: empty if there is one, None if impossible."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ()
    return ("xvfb-run", "-a") if shutil.which("xvfb-run") else None


def _separate_caches(config: BenchConfig) -> dict[str, str]:
    """Return environment variables for caches and settings of the run's own, which start empty."""
    cache = config.folder / "cache"
    return {
        "XDG_CACHE_HOME": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "NAPARI_CONFIG": str(config.folder / "napari.yaml"),
    }


def _read_lines(
    process: "subprocess.Popen[str]", monitor: ProgressMonitor
) -> dict[str, Any] | None:
    """Forward progress steps to the monitor; return the result."""
    result = None
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("{"):  # output of xvfb-run
            continue
        message = json.loads(line)
        if "result" in message:
            result = message["result"]
        else:
            monitor.step(message["stage"], message["done"], message["total"])
    return result


def _terminate(process: "subprocess.Popen[str]") -> None:
    """Terminate a process and its children, if it still runs."""
    if process.poll() is not None:
        return
    try:
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for send_signal in (psutil.Process.terminate, psutil.Process.kill):
        for member in family:
            if member.is_running():
                send_signal(member)
        _, family = psutil.wait_procs(family, timeout=_GRACE_S)


def _failure(status: int, stderr: Any) -> str:
    stderr.seek(0)
    lines = [line.strip() for line in stderr if line.strip()]
    last = lines[-1] if lines else "no output"
    if status < 0:
        return f"terminated by signal {-status}, for example because memory was full ({last})"
    return f"failed: {last}"

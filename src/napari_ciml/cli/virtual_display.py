"""A display for screenshots: the user's, or a virtual one."""

import os
import shutil
import sys

from napari_ciml.errors import CimlError


def ensure_display(screenshot_only: bool) -> None:
    """Return if there is a display; else restart under xvfb-run if only screenshots are written.

    Raises
    ------
    CimlError
        If there is no display, and no way to get one.
    """
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    if not screenshot_only:
        raise CimlError("there is no display; add --screenshot PNG (open) or --output DIR (demo).")
    runner = shutil.which("xvfb-run")
    if runner is None:
        raise CimlError("there is no display; install xvfb (on Debian: apt-get install xvfb).")
    sys.stdout.flush()
    os.execv(runner, [runner, "-a", sys.executable, "-m", "napari_ciml", *sys.argv[1:]])

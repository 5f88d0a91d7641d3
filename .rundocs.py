"""Run the documentation's blocks that follow ``<!-- run -->``, each page in a folder of its own."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[0]
BLOCK = re.compile(r"^<!-- run -->\n+```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Return 0 if every block succeeds."""
    path = os.pathsep.join(("/tmp/ncbin", os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "PYTHONUTF8": "1"}
    failed = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        script = "".join(BLOCK.findall(page.read_text(encoding="utf-8")))
        if not script:
            continue
        print(f"== {page.relative_to(ROOT)}", flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sample_data").symlink_to(ROOT / "sample_data")
            command = ["bash", "-exc", script]
            failed += (
                subprocess.run(command, cwd=folder, env=environment, check=False).returncode != 0
            )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

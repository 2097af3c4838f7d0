"""A command, timed as a whole process with all it started."""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def run(
    argv: Sequence[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None, stderr: bool = False
) -> tuple[float, float, int, str]:
    """Wall seconds, core seconds, bytes of the largest process, and what it said on stdout (or stderr)."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stderr else said,
            stderr=said if stderr else None,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        said.seek(0)
        text = said.read().decode(errors="replace")
    if child.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {child.returncode}\n{text[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, text

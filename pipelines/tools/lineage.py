"""
Who dies with whom, and whose orphans become whose: for processes that are forked and run no program of their own.

Only the kernel can promise either. One that runs a program is bound to us by `pipelines.tools.process`.
"""

import ctypes
import os
import signal
from pathlib import Path

from pipelines.errors import HostError

#: prctl(2): the signal that we get when who forked us dies; that our descendants' orphans become our children.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def follow(parent: int) -> None:
    """Have the kernel kill us when `parent` dies, which forked us. Raises `HostError` if it has died already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise HostError("Who started this process has died meanwhile.")


def adopt() -> None:
    """Have whoever outlives a descendant of ours become our child, instead of init's."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Our children, adopted ones and those that have died included."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _parent(folder) == os.getpid()]


def _parent(folder: Path) -> int | None:
    try:
        stat = (folder / "stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])  # proc(5): field 4; the name before it may hold spaces


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        reason = os.strerror(ctypes.get_errno())
        raise HostError(f"The kernel refuses prctl({option}): {reason}.", hint="See what confines the process.")

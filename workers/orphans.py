"""
What outlived a whole crew.

The kernel kills slots with their nursery and tools with their slot, but not who was just being started: a tool that has
not asked the kernel for that yet. What outlives a slot is its nursery's to end; what outlives the nursery is found by
its environment, where every process of a crew is marked.
"""

import os
import signal
from pathlib import Path

#: Names the slot that started a process, in its environment; or whoever it was forked from.
MARK = "AVANT_SLOT"


def end(home: Path) -> int:
    """
    Kill what the slots of a data folder started; how many processes.

    Only for who knows that they are dead, or are to be: they and their nursery bear the mark, too.
    """
    return sum(_end(int(folder.name), f"AVANT_HOME={home}".encode()) for folder in Path("/proc").glob("[0-9]*"))


def _end(pid: int, farm: bytes) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:  # whoever has this number from here on is the one that is read
        marks = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if farm not in marks or not any(mark.startswith(f"{MARK}=".encode()) for mark in marks):
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it has ended, or is somebody else's
    finally:
        os.close(process)
    return True

"""
Tools that outlived their slot.

The kernel kills a tool with its slot, but not one that was just being started: who dies between starting `setpriv` and
its asking the kernel for that leaves it behind. So every process of a slot is marked in its environment.
"""

import os
import signal
from pathlib import Path

#: Names the slot that started a process, in its environment.
MARK = "AVANT_SLOT"


def end(home: Path, slot: str | None = None) -> int:
    """
    Kill what the slots of a data folder started, or one of them; how many processes.

    Only for who knows that they are dead themselves: their processes bear the mark, too.
    """
    wanted = {f"AVANT_HOME={home}".encode(), *([f"{MARK}={slot}".encode()] if slot else [])}
    return sum(_end(int(folder.name), wanted) for folder in Path("/proc").glob("[0-9]*"))


def _end(pid: int, wanted: set[bytes]) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:  # whoever has this number from here on is the one that is read
        marks = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if not wanted.issubset(marks) or not any(mark.startswith(f"{MARK}=".encode()) for mark in marks):
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it has ended, or is somebody else's
    finally:
        os.close(process)
    return True

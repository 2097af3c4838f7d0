"""What this machine is and has, as the ledger's row for it says."""

import os
import shutil
import socket
from pathlib import Path

from pipelines.errors import HostError, full_disk

#: Share of the machine's memory that steps may reserve; the rest is for services, page cache and ourselves.
SHARE = 0.8
#: Where a container's limit stands (cgroup v2).
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
#: Bytes of free disk below which nothing is begun or gone on with: soon not even the ledger could be written.
FLOOR = 32 << 20


def name() -> str:
    """What the ledger calls this machine."""
    return socket.gethostname()


def processors() -> int:
    """Processors that we may use."""
    return len(os.sched_getaffinity(0))


def memory() -> int:
    """Bytes that steps may reserve together."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(physical, _limit(physical)) * SHARE)


def check_room(folder: Path, wanted: int = 0) -> None:
    """Raise `HostError` unless `wanted` more bytes fit where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < FLOOR:
        raise full_disk()
    if free < FLOOR + wanted:
        raise HostError(
            f"{free / 1e6:.0f} MB are free in {folder}, and this takes about {(FLOOR + wanted) / 1e6:.0f} MB.",
            hint="Make room there, or set AVANT_HOME to a folder on a larger disk.",
        )


def _limit(physical: int) -> int:
    try:
        text = CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return physical
    return int(text) if text.isdigit() else physical

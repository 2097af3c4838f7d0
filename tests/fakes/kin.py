"""Who was started by whom: processes know their farm by its folder, which stands in their environment."""

from pathlib import Path


def kin(home: Path) -> list[int]:
    """Every process that was started with this `AVANT_HOME`: runs, services, slots, tools."""
    mark = f"AVANT_HOME={home}".encode()
    return [pid for pid in _processes() if mark in _read(pid, "environ").split(b"\0")]


def slots(home: Path) -> list[int]:
    """Those of them that are slots."""
    return [pid for pid in kin(home) if b"workers.slot" in _read(pid, "cmdline").split(b"\0")]


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _read(pid: int, name: str) -> bytes:
    """A file of /proc; nothing of a process that is gone, or somebody else's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""

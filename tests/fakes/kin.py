"""Who was started by whom: processes know their farm by its folder, which stands in their environment."""

from pathlib import Path


def kin(home: Path) -> list[int]:
    """Every process that was started with this `AVANT_HOME`: runs, services, slots, tools."""
    mark = f"AVANT_HOME={home}".encode()
    return [pid for pid in _processes() if mark in _read(pid, "environ").split(b"\0")]


def slots(home: Path) -> dict[str, int]:
    """Those of them that are slots, by what `ps` calls each: they are forked from a nursery, and no tools yet."""
    forked, roots = _forked(home), nurseries(home)
    return {name: pid for pid, (name, parent) in forked.items() if parent in roots and name != roots[parent]}


def nurseries(home: Path) -> dict[int, str]:
    """Those of them that slots are forked from, and what `ps` calls them."""
    forked = _forked(home)
    return {pid: name for pid, (name, parent) in forked.items() if parent not in forked}


def adopted(home: Path) -> set[int]:
    """Those that outlived their slot: their nursery has them, which is about to end them."""
    forked, roots = _forked(home), nurseries(home)
    return {pid for pid in kin(home) if pid not in forked and _stat(pid)[1] in roots}


def _forked(home: Path) -> dict[int, tuple[str, int]]:
    """Nurseries, and who was forked from them and runs no program of its own: what it is called, and who has it."""
    return {pid: _stat(pid) for pid in kin(home) if b"workers.nursery" in _read(pid, "cmdline").split(b"\0")}


def _stat(pid: int) -> tuple[str, int]:
    """What a process is called, and who has it: fields 2 and 4 of proc(5)'s list."""
    name, _, rest = _read(pid, "stat").decode(errors="replace").rpartition(")")
    return name.partition("(")[2], int((rest.split() or "00")[1])


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _read(pid: int, name: str) -> bytes:
    """A file of /proc; nothing of a process that is gone, or somebody else's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""

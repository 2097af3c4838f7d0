"""
One tool run as a child that can't outlive us, can't hang unseen, and can't run on after its work stopped counting.

Each runs in its own process group, dies with its parent (`setpriv --pdeathsig`), has no standard input and no shell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a tool that exited 0 left on its streams. Its outputs are still to be checked."""

    stdout: bytes
    #: The last lines of standard error.
    tail: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    watch: Callable[[], None] = lambda: None,
    on_line: Callable[[str], None] | None = None,
    stall: float = 120.0,
    limit: int = 64 << 20,
) -> Finished:
    """
    Run `argv` to its end.

    `watch` is called twice a second; when it raises, the whole process group is killed and reaped and the exception
    goes on. `on_line` gets each line of stdout as it comes (then `Finished.stdout` is empty); a tool that writes
    nothing to either stream and uses no processor for `stall` seconds is killed. More than `limit` bytes of stdout is
    an error. Raises `ToolError` with argv, exit status and last lines; `HostError` when the program is missing or the
    disk is full.
    """
    raise NotImplementedError

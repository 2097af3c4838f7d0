"""
One tool run as a child that can't outlive us, can't hang unseen, and can't run on after its work stopped counting.

Each runs in its own process group, dies with its parent (`setpriv --pdeathsig`), has no standard input and no shell.
"""

import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import HostError, ToolError, full_disk

#: A process that we started, for who keeps one: `subprocess` itself is imported here alone.
Child = subprocess.Popen[bytes]

#: Seconds between two calls of `watch`.
TICK = 0.5
#: How much of standard error is kept while a tool runs (bytes), and how much of that is told (lines).
TAIL_BYTES = 16 << 10
TAIL_LINES = 20
#: A supply's address: whoever knows its path can read the source.
CAPABILITY = re.compile(r"http://127\.0\.0\.1:\d+/[\w.%-]*")


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
    nothing to either stream and uses no processor for `stall` seconds is killed. More than `limit` bytes of stdout
    (with `on_line`: in one line) is an error. Raises `ToolError` with argv, exit status and last lines; `HostError`
    when the program is missing or the disk is full.
    """
    child = subprocess.Popen(
        _bound(argv),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    heard = _Heard(argv=argv, on_line=on_line, limit=limit)
    try:
        for idle in _attended(child, heard):
            watch()
            if idle > stall:
                raise heard.failure(f"did nothing for {stall:.0f} s and was stopped")
    finally:
        _end(child)
    heard.close()
    if child.returncode == 0:
        return Finished(stdout=bytes(heard.stdout), tail=heard.tail)
    if "No space left on device" in heard.tail:
        raise full_disk()
    raise heard.failure(_ending(child.returncode), status=child.returncode)


def start(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    keep: Sequence[int] = (),
) -> Child:
    """
    Start a child that is to run for long: a service, a worker. Its streams are appended to `log`; without it, ours.
    Of our other descriptors it has those that it is to `keep`.

    It dies with the *thread* that calls this (so the kernel defines a parent's death): call it from one that lives
    as long as the child should. Raises `HostError` when the program is missing.
    """
    bound = _bound(argv)
    with _opened(log) as stream:
        return subprocess.Popen(
            bound,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=keep,
            start_new_session=True,
        )


def stop(child: Child, grace: float) -> None:
    """Ask `child` to end, and after `grace` seconds kill its whole group. Returns when it has been reaped."""
    if child.returncode is not None:
        return
    ended = os.pidfd_open(child.pid)
    try:
        signal.pidfd_send_signal(ended, signal.SIGTERM)
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.select(grace)
    finally:
        os.close(ended)
        _end(child)


def discreet(text: str) -> str:
    """`text` without the addresses of supplies, which would let a reader of logs read the source."""
    return CAPABILITY.sub("<source>", text)


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What a child has said so far: stdout whole or line by line, of standard error the end."""

    argv: Sequence[str]
    on_line: Callable[[str], None] | None
    limit: int
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def out(self, data: bytes) -> None:
        self.stdout += data
        if self.on_line and b"\n" in data:
            *lines, rest = self.stdout.split(b"\n")
            self.stdout = rest
            for line in lines:
                self.on_line(line.decode(errors="replace").rstrip("\r"))
        if len(self.stdout) > self.limit:
            raise self.failure(f"wrote more than {self.limit} bytes to its standard output and was stopped")

    def err(self, data: bytes) -> None:
        self.stderr += data
        del self.stderr[:-TAIL_BYTES]

    def close(self) -> None:
        """The last line may have no end."""
        if self.on_line and self.stdout:
            self.out(b"\n")

    @property
    def tail(self) -> str:
        lines = [line for line in self.stderr.decode(errors="replace").splitlines() if line.strip()]
        return discreet("\n".join(lines[-TAIL_LINES:]))

    def failure(self, what: str, *, status: int | None = None) -> ToolError:
        tail = self.tail
        last = tail.rsplit("\n", 1)[-1].strip().rstrip(".")[-300:]
        message = f"{Path(self.argv[0]).name} {what}" + (f": {last}." if last else ".")
        return ToolError(message, argv=[discreet(word) for word in self.argv], status=status, tail=tail)


def _bound(argv: Sequence[str]) -> list[str]:
    """`argv`, to be killed by the kernel when we die, however we die."""
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise HostError("`setpriv` is missing: tools could outlive a killed worker.", hint="Install util-linux.")
    if not shutil.which(argv[0]):
        raise HostError(f"The program `{argv[0]}` is missing or can't be executed.", hint="Run `avant doctor`.")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv]


@contextmanager
def _opened(log: Path | None) -> Iterator[int | None]:
    if log is None:
        yield None
        return
    with log.open("ab") as stream:
        yield stream.fileno()


def _attended(child: Child, heard: _Heard) -> Iterator[float]:
    """Listen until the child has ended. Yields at each tick how many seconds it has been idle."""
    assert child.stdout  # noqa: S101 - both are pipes
    assert child.stderr  # noqa: S101
    ended = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(ended, selectors.EVENT_READ)
            for stream, listener in ((child.stdout, heard.out), (child.stderr, heard.err)):
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, listener)
            yield from _ticks(child.pid, selector)
        finally:
            os.close(ended)


def _ticks(pid: int, selector: selectors.BaseSelector) -> Iterator[float]:
    active, used, tick = time.monotonic(), 0, time.monotonic() + TICK
    while True:
        ready = [key for key, _ in selector.select(max(0.0, tick - time.monotonic()))]
        speaking = [key for key in ready if key.data]
        spoke = sum([_listen(selector, key) for key in speaking])
        if ready and not speaking:
            return  # ended, and nothing is left in the pipes, whoever else may hold them open
        now = time.monotonic()
        if spoke:
            active = now
        if now < tick:
            continue
        tick = now + TICK
        before, used = used, _processor(pid)
        if used != before:
            active = now
        yield now - active


def _listen(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> int:
    """Take what is there. At the end of the stream, stop listening to it."""
    data = os.read(key.fd, 1 << 16)
    if data:
        key.data(data)
    else:
        selector.unregister(key.fileobj)
    return len(data)


def _processor(pid: int) -> int:
    """Clock ticks of processor time that all threads of `pid` have used. Zero when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return 0
    user, system = stat.rpartition(")")[2].split()[11:13]  # proc(5): fields 14 and 15; the name may hold spaces
    return int(user) + int(system)


def _end(child: Child) -> None:
    """Kill the group while the unreaped child still keeps its number from being given to others; then reap."""
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}"
    return f"was ended by {signal.Signals(-status).name}"

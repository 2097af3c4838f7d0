"""What starting any edge takes: the program, an address that stays, and waiting until it answers."""

import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import ConfigurationError, HostError
from pipelines.tools import process

#: Debian keeps servers where only root's PATH leads.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
#: Varnish compiles its configuration first.
READY_WITHIN = 30.0
GRACE = 5.0


def find(program: str, package: str) -> str:
    """Where `program` is. Raises `ConfigurationError` when it is not installed."""
    found = shutil.which(program, path=PATH)
    if not found:
        raise ConfigurationError(
            f"{program} is not installed; there can be no such edge on this machine.", hint=f"apt-get install {package}"
        )
    return found


@contextmanager
def serving(argv: Sequence[str], listen: str, folder: Path) -> Iterator[None]:
    """`argv` as long as the context lasts, from when it accepts connections at `listen`."""
    log = folder / f"{Path(argv[0]).name}.log"
    # We may die in a way that leaves us no last word. A master that is killed leaves its workers behind; one that is
    # asked to end takes them along: so of the two parent-death signals it is the second, gentle one that counts.
    child = process.start(["setpriv", "--pdeathsig", "TERM", "--", *argv], log=log)
    try:
        _await(child, listen, log)
        yield
    finally:
        process.stop(child, GRACE)


def address(folder: Path) -> str:
    """Players keep addresses, and so does the proof of warmth: the one that `folder` remembers, if it is free."""
    kept = folder / "port"
    wanted = int(kept.read_text(encoding="ascii")) if kept.exists() else 0
    with socket.socket() as probe:
        # Connections that have ended still hold the port for a minute, but from nobody who asks like this; servers do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    kept.write_text(str(port), encoding="ascii")
    return f"127.0.0.1:{port}"


def _await(child: process.Child, listen: str, log: Path) -> None:
    host, port = listen.split(":")
    until = time.monotonic() + READY_WITHIN
    while child.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise HostError(f"{log.stem} does not come up on {listen}.", hint=f"Read {log} and the logs beside it.")

"""
A road to a broker on which some tickets get lost and some arrive twice.

It takes one command after the other and passes on its answer, so that it can leave one out, or send it again.
"""

import random
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

#: Where words stand in what dramatiq has the broker do: EVALSHA sha 1 namespace COMMAND … ID MESSAGE.
COMMAND, ID = 4, 12


@dataclass(kw_only=True)
class Road:
    """What becomes of tickets, and what became of them."""

    #: The broker's Unix socket.
    broker: Path
    #: Shares of tickets, 0 to 1.
    doubled: float
    dropped: float
    chance: random.Random
    met: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fate(self) -> str:
        """What becomes of the next ticket."""
        with self.lock:
            drawn = self.chance.random()
            fate = "dropped" if drawn < self.dropped else "doubled" if drawn < self.dropped + self.doubled else "passed"
            self.met[fate] += 1
            return fate


@contextmanager
def unreliable(road: Road) -> Iterator[int]:
    """The port on loopback where the road begins, for as long as the context lasts."""

    class Lane(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as upstream:
                try:
                    upstream.connect(str(road.broker))
                    with upstream.makefile("rwb") as broker:
                        _carry(road, cast(BinaryIO, self.rfile), cast(BinaryIO, self.wfile), cast(BinaryIO, broker))
                except (OSError, EOFError):
                    return  # one of both has gone, and so the other is let go

    class Gate(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Gate(("127.0.0.1", 0), Lane) as gate:
        thread = threading.Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield gate.server_address[1]
        finally:
            gate.shutdown()
            thread.join()


def _carry(road: Road, asks: BinaryIO, answers: BinaryIO, broker: BinaryIO) -> None:
    while True:
        command = _value(asks)
        words = command.split(b"\r\n")[2::2]
        ticket = len(words) > ID and words[COMMAND] == b"enqueue"
        fate = road.fate() if ticket else "passed"
        if fate == "dropped":
            command = b"*1\r\n$4\r\nPING\r\n"  # whose answer is as good as another
        if fate == "doubled":
            _exchange(broker, command.replace(words[ID], str(uuid4()).encode()))
        answers.write(_exchange(broker, command))
        answers.flush()


def _exchange(broker: BinaryIO, command: bytes) -> bytes:
    broker.write(command)
    broker.flush()
    return _value(broker)


def _value(stream: BinaryIO) -> bytes:
    """The bytes of the next value, a command or an answer. Raises `EOFError` at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, length = line[:1], line[1:-2]
    if kind in b"$!=":
        return line + (stream.read(int(length) + 2) if int(length) >= 0 else b"")
    if kind not in b"*~>%":
        return line
    values = max(0, int(length)) * (2 if kind == b"%" else 1)
    return line + b"".join(_value(stream) for _ in range(values))

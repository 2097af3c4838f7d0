"""One connection: what it reads, and what it refuses to read."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipelines.tools.http1 import ProtocolError, UnansweredError, Wire


@contextmanager
def answering(*answers: bytes) -> Iterator[Wire]:
    """A wire to one who sends those bytes, each after a request, and hangs up."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            for answer in answers:
                if not theirs.recv(4096):
                    return
                try:
                    theirs.sendall(answer)
                except BrokenPipeError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    wire = Wire(ours, patience=5.0)
    try:
        yield wire
    finally:
        wire.close()
        thread.join()


def asked(wire: Wire) -> tuple[int, bytes, bool]:
    head = wire.ask("edge", "/x", {"Accept": "*/*"})
    return head.status, b"".join(bytes(block) for block in wire.body(head)), head.keep


@pytest.mark.parametrize(
    ("answer", "status", "body", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
        (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 200, b"hello", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            200,
            b"abc0123456789",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n" + b"z" * 700_000, 200, b"z" * 700_000, True),
    ],
)
def test_an_answer_is_read_to_its_end(answer: bytes, status: int, body: bytes, keep: bool) -> None:
    """By length, by chunks, or to the end of the connection; and whether another may be asked on it."""
    with answering(answer) as wire:
        assert asked(wire) == (status, body, keep)
        assert not wire.ahead


def test_a_connection_is_used_again() -> None:
    """One answer after the other, in the same buffer."""
    once = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    with answering(*[once] * 50) as wire:
        assert {asked(wire) for _ in range(50)} == {(200, b"a", True)}


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/2 200\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 40_000 + b"\r\n\r\n", "has headers beyond"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000, "has headers beyond"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "has a malformed header"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "has a malformed header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "has two lengths"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "has two lengths"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "has no clear length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", "has no clear length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "in an encoding that nobody asked for"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 9000, "a chunk's length beyond"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "has a malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: 1\r\n" * 9000, "trailers beyond"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-", "broke off"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "announces answers without end"),
    ],
)
def test_what_is_malformed_or_without_end_is_refused(answer: bytes, how: str) -> None:
    """Nothing is guessed, and nothing grows beyond its limit."""
    with answering(answer) as wire, pytest.raises(ProtocolError, match=how):
        asked(wire)


def test_silence_before_an_answer_is_told_apart() -> None:
    """A connection closed before the first byte may be opened again without asking twice."""
    with answering(b"") as wire, pytest.raises(UnansweredError):
        asked(wire)


def test_more_than_was_asked_for_is_noticed() -> None:
    """What follows would be taken for the answer to another request."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n") as wire:
        asked(wire)
        assert wire.ahead

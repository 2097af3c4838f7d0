"""
One HTTP/1.1 connection, read into a buffer that is used again: a body is looked at, never kept.

Ours because a whole answer has a deadline here, which urllib3 can't set for an edge that drips, and another thread can
end the reading; it also takes 0.6 of urllib3's processor time (`benchmarks/warm.py`). Small because it only ever asks
GET. What comes is hostile: every length is limited, and what is ambiguous is refused.
"""

import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Bytes read at a time: with less, system calls cost more than copying; with more, the copy leaves the cache.
BUFFER = 256 << 10
#: Bytes of all headers (nginx allows 32 KiB in its own), of a chunk's announcement, and of trailers.
MOST_HEAD = 32 << 10
MOST_LINE = 256
MOST_TRAILERS = 8 << 10
#: 1xx answers before the real one.
MOST_INTERIM = 8

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?\Z")


class ProtocolError(Exception):
    """The answer breaks HTTP's grammar or our limits, or broke off; the message says how."""


class UnansweredError(ProtocolError):
    """The connection was closed before the first byte of an answer: asking again on another is safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Status and headers of an answer."""

    status: int
    #: Names in lower case; what came several times is joined with commas.
    headers: Mapping[str, str]
    #: Whether the connection can be used again after the body.
    keep: bool


class Wire:
    """A connection to one server. Not for several threads at once."""

    def __init__(self, connected: socket.socket, *, patience: float) -> None:
        """`patience`: seconds of silence before `TimeoutError`."""
        self._socket = connected
        self._socket.settimeout(patience)
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        #: When the answer must have come to its end, by the monotonic clock.
        self.deadline = float("inf")

    def ask(self, host: str, path: str, headers: Mapping[str, str]) -> Head:
        """Send GET and read the head of the answer; the body is still to be read."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **headers}.items())
        try:
            self._socket.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise UnansweredError("closed before it was asked") from error
        for _ in range(MOST_INTERIM):
            head = self._head()
            if head.status >= 200:  # noqa: PLR2004 - 1xx announce another
                return head
        raise ProtocolError("announces answers without end")

    def body(self, head: Head) -> Iterator[memoryview]:
        """The body in pieces, each of which is overwritten by the next."""
        if head.status in (204, 304):
            return iter(())
        coding = head.headers.get("transfer-encoding", "").lower()
        if coding == "chunked":
            return self._chunks()
        if coding:
            raise ProtocolError("comes in an encoding that nobody asked for")
        length = head.headers.get("content-length")
        if length is None:
            return self._rest()
        if not re.fullmatch(r"[0-9]{1,15}", length):
            raise ProtocolError("has no clear length")
        return self._exactly(int(length))

    @property
    def ahead(self) -> bool:
        """Whether more has come than was asked for: what follows would be taken for another's answer."""
        return self._start < self._end

    def shut(self) -> None:
        """End whatever another thread is waiting for here."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed by the other side already

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> Head:
        lines = self._until(b"\r\n\r\n", MOST_HEAD, "headers").split(b"\r\n")
        status = _STATUS.match(lines[0])
        if status is None:
            raise ProtocolError("is not HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            field = _FIELD.match(line)
            if field is None:
                raise ProtocolError("has a malformed header")
            name, value = field[1].decode().lower(), field[2].decode("latin-1")
            if name == "content-length" and headers.get(name, value) != value:
                raise ProtocolError("has two lengths")
            if name != "content-length":
                value = f"{headers[name]}, {value}" if name in headers else value
            headers[name] = value
        if "transfer-encoding" in headers and "content-length" in headers:
            raise ProtocolError("has two lengths")
        bounded = not {"transfer-encoding", "content-length"}.isdisjoint(headers) or status[2] in (b"204", b"304")
        keep = status[1] == b"1" and "close" not in headers.get("connection", "").lower() and bounded
        return Head(status=int(status[2]), headers=headers, keep=keep)

    def _exactly(self, length: int) -> Iterator[memoryview]:
        while length:
            if self._start == self._end and not self._fill():
                raise ProtocolError("broke off")
            taken = min(length, self._end - self._start)
            yield self._view[self._start : self._start + taken]
            self._start += taken
            length -= taken

    def _rest(self) -> Iterator[memoryview]:
        while self._start < self._end or self._fill():
            yield self._view[self._start : self._end]
            self._start = self._end

    def _chunks(self) -> Iterator[memoryview]:
        while True:
            size = _CHUNK.match(self._until(b"\r\n", MOST_LINE, "a chunk's length"))
            if size is None:
                raise ProtocolError("has a malformed chunk")
            length = int(size[1], 16)
            if not length:
                break
            yield from self._exactly(length)
            if self._until(b"\r\n", 2, "a chunk's end"):
                raise ProtocolError("has a malformed chunk")
        room = MOST_TRAILERS
        while line := self._until(b"\r\n", room, "trailers"):
            room -= len(line) + 2

    def _until(self, mark: bytes, most: int, what: str) -> bytes:
        """The bytes before `mark`, which is taken too."""
        while (found := self._buffer.find(mark, self._start, self._end)) < 0:
            if self._end - self._start >= most:
                raise ProtocolError(f"has {what} beyond {most} bytes")
            fresh = mark == b"\r\n\r\n" and self._start == self._end
            if not self._fill():
                raise UnansweredError("closed unanswered") if fresh else ProtocolError("broke off")
        if found - self._start > most:
            raise ProtocolError(f"has {what} beyond {most} bytes")
        text = bytes(self._view[self._start : found])
        self._start = found + len(mark)
        return text

    def _fill(self) -> bool:
        """Wait for more; false at the end of the connection."""
        if time.monotonic() > self.deadline:
            raise TimeoutError("it did not come to an end")
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer):
            kept = bytes(self._view[self._start : self._end])
            self._view[: len(kept)] = kept
            self._start, self._end = 0, len(kept)
        try:
            came = self._socket.recv_into(self._view[self._end :])
        except ConnectionResetError as error:
            if self._end == 0:
                raise UnansweredError("reset unanswered") from error
            raise
        self._end += came
        return came > 0

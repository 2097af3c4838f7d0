"""
An edge, asked the way a player asks it: GET, the players' own headers, the body read to its end and dropped.
"""

import hashlib
import socket
import ssl
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from urllib.parse import quote, urlsplit

from pipelines.errors import ConfigurationError, EdgeError
from pipelines.tools.http1 import Head, ProtocolError, UnansweredError, Wire

#: What browsers send for segments and playlists alike; an edge that keeps one copy per encoding must warm theirs.
PLAYER: Mapping[str, str] = MappingProxyType({"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br"})

#: Seconds. An edge that collapses requests may hold ours for a minute while a slow origin answers another's.
CONNECT, SILENCE = 5.0, 75.0
#: Seconds for a whole answer: 100 MB at 3 Mb/s. One that drips would hold a connection all night.
WHOLE = 300.0
#: Bytes that a compressed piece is undone to at a time, and at most in all: playlists are text, of a few megabytes.
UNDONE_BLOCK = 256 << 10
MOST_UNDONE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an edge said to one GET."""

    status: int
    #: Names in lower case; what came several times is joined with commas.
    headers: Mapping[str, str] = field(repr=False)
    #: Bytes of the body as the store holds it; None if it came compressed in a way that we can't undo, -1 if broken.
    size: int | None
    #: Of those bytes, if it was asked for.
    sha256: str = ""
    #: Bytes that travelled.
    sent: int = 0
    #: From asking to the last byte.
    seconds: float


class EdgeClient(AbstractContextManager["EdgeClient"]):
    """One edge and the connections to it, which are kept: as many as there are threads asking at once."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        address: str | None = None,
        ca: Path | None = None,
        came: Callable[[int], None] | None = None,
    ) -> None:
        """
        `address` (`IP:port`) is where to connect to instead of what `url` resolves to; the certificate is still checked
        against `url`. `came` hears of bytes as they come, and may hold us back. Raises `ConfigurationError`.
        """
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.name = name
        self.url = url.rstrip("/")
        self._host = parts.netloc
        self._server = parts.hostname or ""
        self._where = _split(address) if address else (self._server, port)
        self._tls = _trusting(ca) if parts.scheme == "https" else None
        self._came = came
        self._idle: deque[Wire] = deque()
        self._open: set[Wire] = set()
        self._over = False
        self._lock = threading.Lock()

    def fetch(self, key: str, headers: Mapping[str, str] = PLAYER, *, below: str = "", hashed: bool = False) -> Answer:
        """
        GET one object, `below` a prefix that no message ever shows. Raises `EdgeError` when the edge does not answer,
        or not to the end.
        """
        begun = time.monotonic()
        path = f"/{below}{quote(key)}"
        try:
            wire, head = self._asked(path, headers)
            body = self._read(wire, head, hashed=hashed)
        except (OSError, ProtocolError) as error:
            raise EdgeError(
                f"Edge {self.name} ({self.url}) does not answer: {_cause(error)} for {key}.",
                hint="See whether it is up, and whether this host reaches it.",
            ) from error
        return Answer(
            status=head.status,
            headers=head.headers,
            size=body.size,
            sha256=body.sha256,
            sent=body.sent,
            seconds=time.monotonic() - begun,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Connections that other threads still read from end, and so does their reading."""
        with self._lock:
            self._over, left = True, set(self._open)
        for wire in left:
            wire.shut()
        while self._idle:
            self._drop(self._idle.pop())

    def _asked(self, path: str, headers: Mapping[str, str]) -> tuple[Wire, Head]:
        """An answer's beginning. A connection that the edge had closed unseen is opened again, once."""
        kept = True
        while True:
            try:
                wire = self._idle.pop()
            except IndexError:
                kept, wire = False, self._connect()
            wire.deadline = time.monotonic() + WHOLE
            try:
                return wire, wire.ask(self._host, path, headers)
            except UnansweredError:
                self._drop(wire)
                if not kept:
                    raise
            except BaseException:
                self._drop(wire)
                raise

    def _read(self, wire: Wire, head: Head, *, hashed: bool) -> "_Body":
        """Read to the end, so that the edge keeps the whole and the connection can be used again."""
        body = _Body(head.headers.get("content-encoding", ""), hashed=hashed)
        try:
            for block in wire.body(head):
                body.feed(block)
                if self._came:
                    self._came(len(block))
        except BaseException:
            self._drop(wire)
            raise
        if head.keep and not wire.ahead and not self._over:
            self._idle.append(wire)
        else:
            self._drop(wire)
        return body

    def _connect(self) -> Wire:
        connected = socket.create_connection(self._where, timeout=CONNECT)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connected = self._tls.wrap_socket(connected, server_hostname=self._server)
        except BaseException:
            connected.close()
            raise
        wire = Wire(connected, patience=SILENCE)
        with self._lock:
            self._open.add(wire)
        return wire

    def _drop(self, wire: Wire) -> None:
        wire.close()
        with self._lock:
            self._open.discard(wire)


class _Body:
    """A body as it passes by: how long it is once undone, and its sha256 if that is asked for."""

    def __init__(self, encoding: str, *, hashed: bool) -> None:
        coding = encoding.lower()
        self.sent = 0
        self._size = 0
        self._known = coding in ("", "identity", "gzip", "deflate")
        #: 47: zlib's or gzip's header, whichever comes.
        self._undo = zlib.decompressobj(47) if coding in ("gzip", "deflate") else None
        self._hash = hashlib.sha256() if hashed and self._known else None

    def feed(self, block: memoryview) -> None:
        self.sent += len(block)
        if self._undo is None:
            self._plain(block)
        elif self._size >= 0:
            self._undone(self._undo, block)

    @property
    def size(self) -> int | None:
        if not self._known:
            return None
        return self._size if self._undo is None or self._undo.eof or not self.sent else -1

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest() if self._hash else ""

    def _plain(self, block: memoryview | bytes) -> None:
        self._size += len(block)
        if self._hash:
            self._hash.update(block)

    def _undone(self, undo: "zlib._Decompress", block: memoryview) -> None:
        waiting: bytes | memoryview = block
        try:
            while not undo.eof:
                piece = undo.decompress(waiting, UNDONE_BLOCK)
                self._plain(piece)
                waiting = undo.unconsumed_tail
                if self._size > MOST_UNDONE:
                    self._size = -1
                    return
                if not waiting and len(piece) < UNDONE_BLOCK:
                    return
        except zlib.error:
            self._size = -1


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigurationError(
            f"The authorities in {ca} can't be read: {error.strerror or 'it holds no certificate'}.",
            hint="Name a PEM file with their certificates.",
        ) from error


def _cause(error: Exception) -> str:
    """What an operator can act on; never a path, which may hold a token."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message.rstrip('.')})"
    return f"its answer {error}" if isinstance(error, ProtocolError) else type(error).__name__

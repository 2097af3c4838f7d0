"""
An edge, asked the way a player asks it: GET, the players' own headers, the body read to its end and dropped.
"""

import hashlib
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError

from pipelines.errors import ConfigurationError, EdgeError

#: What browsers send for segments and playlists alike; an edge that keeps one copy per encoding must warm theirs.
PLAYER: Mapping[str, str] = MappingProxyType({"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br"})

#: Seconds. An edge that collapses requests may hold ours for a minute while a slow origin answers another's.
CONNECT, SILENCE = 5.0, 75.0
#: Seconds for a whole answer: 100 MB at 3 Mb/s. One that drips would hold a connection all night.
WHOLE = 300.0
#: Bytes read at a time: TLS comes in records of 16 KiB, and Python for each takes half as much processor time again.
BLOCK = 256 << 10
#: Connections that are kept: as many as an edge's `capacity` may name.
MOST = 256
#: Bytes that a compressed piece is undone to at a time, and at most in all: playlists are text, of a few megabytes.
UNDONE_BLOCK = 256 << 10
MOST_UNDONE = 64 << 20
#: Bytes of a body that is kept: a segment of the highest rung has a tenth of that.
MOST_KEPT = 64 << 20


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
    #: Those bytes, if they were to be kept.
    body: bytes = field(default=b"", repr=False)
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
        self.name = name
        self.url = url.rstrip("/")
        self._host = parts.netloc
        self._came = came
        self._wires: list[_Wire] = []
        self._pool = _pool(
            parts.scheme, parts.hostname or "", _split(address) if address else parts.port, ca, self._wires
        )
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._end_what_drips, name="edge", daemon=True)
        self._watch.start()

    def fetch(
        self,
        key: str,
        headers: Mapping[str, str] = PLAYER,
        *,
        below: str = "",
        hashed: bool = False,
        kept: bool = False,
    ) -> Answer:
        """
        GET one object, `below` a prefix that no message ever shows. Raises `EdgeError` when the edge does not answer,
        or not to the end, or with more than is `kept`.
        """
        begun = time.monotonic()
        path = f"/{below}{quote(key)}"
        try:
            answer = self._asked(path, {"Host": self._host, **headers})
            body = self._read(answer, _Body(answer.headers.get("content-encoding", ""), hashed=hashed, kept=kept))
            if self._over.is_set() or time.monotonic() > begun + WHOLE:
                raise TimeoutError  # what we cut off ourselves may look whole
        except (OSError, HTTPError) as error:
            raise EdgeError(
                f"Edge {self.name} ({self.url}) does not answer: {_cause(error)} for {key}.",
                hint="See whether it is up, and whether this host reaches it.",
            ) from error
        return Answer(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.itermerged()},
            size=body.size,
            sha256=body.sha256,
            body=bytes(body.kept or b""),
            sent=body.sent,
            seconds=time.monotonic() - begun,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Connections that other threads still read from end, and so does their reading."""
        self._over.set()
        self._watch.join()
        for wire in self._wires:
            wire.end()
        self._pool.close()

    def _asked(self, path: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """An answer's beginning. A connection that the edge had closed unseen is opened again, once."""
        ask = partial(self._pool.urlopen, "GET", path, headers=headers, redirect=False, preload_content=False)
        try:
            return ask()
        except ProtocolError as error:
            if self._over.is_set() or not isinstance(error.args[-1], ConnectionResetError):
                raise
        return ask()

    def _read(self, answer: BaseHTTPResponse, body: "_Body") -> "_Body":
        """Read to the end, so that the edge keeps the whole and the connection can be used again."""
        try:
            while block := answer.read(BLOCK, decode_content=False):
                body.feed(block)
                if self._came:
                    self._came(len(block))
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        return body

    def _end_what_drips(self) -> None:
        """urllib3 only limits silence."""
        while not self._over.wait(1.0):
            for wire in list(self._wires):
                if wire.until < time.monotonic():
                    wire.end()


class _Wire(HTTPConnection):
    """A connection that another thread can end."""

    def __init__(self, *args: Any, wires: "list[_Wire]", **more: Any) -> None:
        super().__init__(*args, **more)
        #: When what was asked must have come, by the monotonic clock.
        self.until = float("inf")
        #: urllib3 forgets its own as soon as an answer says that it is the last.
        self._socket: socket.socket | None = None
        wires.append(self)

    def connect(self) -> None:
        super().connect()
        self._socket = self.sock

    def request(self, *args: Any, **more: Any) -> None:
        self.until = time.monotonic() + WHOLE
        super().request(*args, **more)

    def end(self) -> None:
        """Have whoever reads here find an end."""
        self.until = float("inf")
        with suppress(OSError):  # it has ended
            if self._socket:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS's own would break the reader's state


class _SecureWire(_Wire, HTTPSConnection):
    """The same, over TLS."""


def _pool(
    scheme: str, server: str, where: tuple[str, int] | int | None, ca: Path | None, wires: list[_Wire]
) -> HTTPConnectionPool:
    """Connections to `server`, wherever it is."""
    kept: dict[str, Any] = {
        "maxsize": MOST,
        "retries": False,
        "timeout": Timeout(connect=CONNECT, read=SILENCE),
        "wires": wires,
    }
    host, port = where if isinstance(where, tuple) else (server, where)
    if scheme == "http":
        pool = HTTPConnectionPool(host, port, **kept)
        pool.ConnectionCls = _Wire
        return pool
    secure = HTTPSConnectionPool(host, port, ssl_context=_trusting(ca), server_hostname=server, **kept)
    secure.ConnectionCls = _SecureWire
    return secure


class _Body:
    """A body as it passes by: how long it is once undone, its sha256 and its bytes if they are asked for."""

    def __init__(self, encoding: str, *, hashed: bool, kept: bool) -> None:
        coding = encoding.lower()
        self.sent = 0
        self._size = 0
        self._known = coding in ("", "identity", "gzip", "deflate")
        #: 47: zlib's or gzip's header, whichever comes.
        self._undo = zlib.decompressobj(47) if coding in ("gzip", "deflate") else None
        self._hash = hashlib.sha256() if hashed and self._known else None
        self.kept = bytearray() if kept and self._known else None

    def feed(self, block: bytes) -> None:
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

    def _plain(self, block: bytes) -> None:
        self._size += len(block)
        if self._hash:
            self._hash.update(block)
        if self.kept is not None:
            if self._size > MOST_KEPT:
                raise ProtocolError(f"has more than {MOST_KEPT} bytes")
            self.kept += block

    def _undone(self, undo: "zlib._Decompress", block: bytes) -> None:
        waiting = block
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
    inner = next((arg for arg in reversed(error.args) if isinstance(arg, Exception)), error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({inner.verify_message.rstrip('.')})"
    return "its answer broke off" if isinstance(inner, IncompleteRead) else type(inner).__name__

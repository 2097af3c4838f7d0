"""
One piece of content served by range over HTTP on loopback, under a path that nobody can guess.

What it serves it asks for in windows, so that a tool that reads slowly holds no connection to the store open, and a
tool that seeks away has cost one window.
"""

import hmac
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from pipelines.errors import AvantError


class Loopback(ThreadingHTTPServer):
    """Serves `size` bytes of what `read(first, last)` gives, as long as the context lasts."""

    daemon_threads = True  # a tool that was killed is not waited for
    block_on_close = False

    def __init__(self, *, size: int, window: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.size = size
        self.window = window
        self.read = read
        self.path = f"/{secrets.token_urlsafe(32)}"
        #: Why the content could not be served, if it could not.
        self.failure: AvantError | None = None
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Loopback

    def handle(self) -> None:
        with suppress(ConnectionError):  # a tool that has read enough hangs up
            super().handle()

    def do_HEAD(self) -> None:
        self._begin()

    def do_GET(self) -> None:
        span = self._begin()
        try:
            for start in range(span.start, span.stop, self.server.window):
                self.wfile.write(self.server.read(start, min(start + self.server.window, span.stop) - 1))
        except AvantError as error:
            self.server.failure = error
            self.close_connection = True  # short of what was promised: the tool sees that it is cut

    def _begin(self) -> range:
        """Answer with status and headers; the bytes that are to follow."""
        size = self.server.size
        if not hmac.compare_digest(self.path.encode(), self.server.path.encode()):
            return self._headers(HTTPStatus.NOT_FOUND, range(0))
        asked = self.headers["Range"]
        if asked is None:
            return self._headers(HTTPStatus.OK, range(size))
        span = requested(asked, size)
        if not span:
            return self._headers(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, span, f"bytes */{size}")
        return self._headers(HTTPStatus.PARTIAL_CONTENT, span, f"bytes {span.start}-{span.stop - 1}/{size}")

    def _headers(self, status: HTTPStatus, span: range, content_range: str = "") -> range:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(span)))
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        return span

    def log_message(self, *_: object) -> None:
        """Nothing: the path is a capability."""


def requested(header: str, size: int) -> range:
    """The bytes that a Range header asks for of `size` (RFC 9110, 14.1.2); an empty range if they can't be had."""
    match = re.fullmatch(r"bytes=(\d{1,18})?-(\d{1,18})?", header.strip())
    if not match or match[0] == "bytes=-":
        return range(0)
    first, last = match[1], match[2]
    if first is None:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(int(last) + 1, size) if last else size)

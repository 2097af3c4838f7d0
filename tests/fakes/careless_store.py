"""An S3 in memory that forgets what it is told to forget: a store that we must refuse."""

import hashlib
import re
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT = ("content-type", "cache-control", "x-amz-checksum-sha256")


class CarelessStore(ThreadingHTTPServer):
    """`forgets`: lower-case names of request headers that it ignores; `refuses`: parts of paths nobody may write."""

    def __init__(self, forgets: Collection[str], refuses: Collection[str] = ()) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.forgets = forgets
        self.refused = refuses
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CarelessStore

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if any(part in self.path for part in self.server.refused):
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        if self.refuses():
            self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        headers = {name: self.headers[name] for name in KEPT if name in self.heard()}
        self.server.objects[self.path] = body, {**headers, "ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        self.answer(200)

    def do_HEAD(self) -> None:
        body, headers = self.server.objects.get(self.path, (b"", {}))  # else the bucket is asked for
        self.answer(200, body, headers)

    def do_POST(self) -> None:
        deleted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        for key in re.findall("<Key>(.*?)</Key>", deleted):
            self.server.objects.pop(f"{self.path.partition('?')[0]}/{key}", None)
        self.answer(200, b"<DeleteResult/>")

    def heard(self) -> set[str]:
        return {name.lower() for name in self.headers} - set(self.server.forgets)

    def refuses(self) -> bool:
        stored = self.server.objects.get(self.path)
        if "if-none-match" in self.heard():
            return stored is not None
        return "if-match" in self.heard() and (stored is None or stored[1]["ETag"] != self.headers["If-Match"])

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on the tests' terminal."""


@contextmanager
def careless_store(forgets: Collection[str], refuses: Collection[str] = ()) -> Iterator[str]:
    """Serve one on loopback; yields its endpoint."""
    with CarelessStore(forgets, refuses) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
    assert not server.objects, "something was left behind"

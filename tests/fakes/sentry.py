"""Something that takes reports as Sentry does: decodes the envelopes, keeps the events. Or is slow, or hangs up."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

#: The key in its address, which nobody else may learn.
KEY = "f00dfeedf00dfeedf00dfeedf00dfeed"


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """What came in."""

    #: As the setting wants it.
    address: str
    events: list[dict[str, Any]] = field(default_factory=list)
    #: All the bytes that came, headers too.
    heard: list[bytes] = field(default_factory=list)
    #: Unless this is set, it answers nobody.
    answering: Event = field(default_factory=Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    inbox: Inbox


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.inbox.heard.append(body)
        self.server.inbox.events.extend(_events(body))
        self.server.inbox.answering.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _events(envelope: bytes) -> Iterator[dict[str, Any]]:
    """The events of an envelope: a header, then for each item a line that says its length, and its bytes."""
    _, _, rest = envelope.partition(b"\n")
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        item = json.loads(line)
        payload, rest = rest[: item["length"]], rest[item["length"] :].lstrip(b"\n")
        if item["type"] == "event":
            yield json.loads(payload)


@contextmanager
def inbox(*, answering: bool = True) -> Iterator[Inbox]:
    """One on loopback; what it is to hear is told by its address."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.inbox = Inbox(address=f"http://{KEY}@127.0.0.1:{server.server_port}/1")
        if answering:
            server.inbox.answering.set()
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.inbox
        finally:
            server.inbox.answering.set()
            server.shutdown()
            thread.join()

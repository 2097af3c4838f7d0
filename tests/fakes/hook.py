"""Somebody who listens for notices: an HTTP server on loopback that can be told to fail first."""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

SECRET = "what-notices-are-signed-with"


@dataclass(kw_only=True)
class Hook:
    """What came, in order; and the statuses that it answers with, the last of them for ever."""

    statuses: list[int] = field(default_factory=lambda: [204])
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def genuine(self, number: int) -> bool:
        """As the manual tells listeners to find out."""
        told = dict(part.split("=", 1) for part in self.signatures[number].split(","))
        signed = told["t"].encode() + b"." + self.bodies[number]
        return hmac.compare_digest(hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest(), told["v1"])


@contextmanager
def hook(*statuses: int) -> Iterator[Hook]:
    """One that listens until the context ends."""
    listening = Hook(statuses=list(statuses) or [204])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            listening.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            listening.signatures.append(self.headers["Avant-Signature"])
            status = listening.statuses[min(len(listening.bodies), len(listening.statuses)) - 1]
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", f"{listening.url}elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listening.url = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield listening
        finally:
            server.shutdown()
            thread.join()

"""A store as an edge sees it: answers GETs, counts them, and can be slow or down on demand."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IMMUTABLE = {"Content-Type": "video/iso.segment", "Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the origin says for one path."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: IMMUTABLE)


@dataclass(slots=True)
class Origin:
    """A running origin. Paths that `replies` does not hold are 404; a callable is told how often it was asked."""

    endpoint: str
    replies: dict[str, Reply | Callable[[int], Reply]] = field(default_factory=dict)
    #: GETs so far, by path with query.
    asked: Counter[str] = field(default_factory=Counter)
    #: Headers of the last request, names in lower case.
    heard: dict[str, str] = field(default_factory=dict)
    #: While cleared, answers wait.
    open: threading.Event = field(default_factory=threading.Event)
    #: Before each answer.
    seconds: float = 0.0

    def reset(self) -> None:
        """Forget everything, for the next test."""
        self.replies.clear()
        self.asked.clear()
        self.heard.clear()
        self.open.set()
        self.seconds = 0.0


@contextmanager
def origin() -> Iterator[Origin]:
    """An origin on loopback, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.asked[self.path] += 1
            state.heard = {name.lower(): value for name, value in self.headers.items()}
            state.open.wait(30)
            threading.Event().wait(state.seconds)
            reply = state.replies.get(self.path, Reply(status=404, body=b"<Error><BucketName>b</BucketName></Error>"))
            reply = reply(state.asked[self.path]) if callable(reply) else reply
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # of 5, a crowd's connections would be dropped and come a second later

    server = Server(("127.0.0.1", 0), Handler)
    state = Origin(f"http://127.0.0.1:{server.server_port}")
    state.open.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.open.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""An S3 in memory whose clock a test turns: the real one is a static program, whose time nothing can change."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fakes.careless_store import CarelessStore, Handler


class TimedStore(CarelessStore):
    """`read` tells the time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, read: Callable[[], datetime]) -> None:
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", 0), TimedHandler)
        self.forgets: frozenset[str] = frozenset()
        self.refused: tuple[str, ...] = ()
        self.objects = {}
        self.read = read
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class TimedHandler(Handler, BaseHTTPRequestHandler):
    server: TimedStore

    def do_PUT(self) -> None:
        with self.server.lock:  # conditions are atomic
            super().do_PUT()

    def do_GET(self) -> None:
        found = self.server.objects.get(self.path.partition("?")[0])
        if found is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        self.answer(200, *found)

    def do_HEAD(self) -> None:
        bucket = self.path.count("/") == 1
        body, headers = self.server.objects.get(self.path, (b"", {}))
        self.answer(200 if bucket or headers else 404, body, headers)

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return format_datetime(self.server.read(), usegmt=True)


@contextmanager
def timed_store(read: Callable[[], datetime]) -> Iterator[TimedStore]:
    """Serve one on loopback."""
    with TimedStore(read) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

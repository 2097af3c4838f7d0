"""Edges that are not what they say: each is honest but for one thing."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

YEAR = "public, max-age=31536000, immutable"


@dataclass(slots=True, kw_only=True)
class Copy:
    """What a cache keeps."""

    body: bytes
    #: When, by the monotonic clock, and a number that the origin gave to this answer alone.
    kept: float
    nonce: int


@dataclass(slots=True, kw_only=True)
class Liar:
    """A cache before an origin that it holds in its hand. The defaults are honest."""

    #: What the origin has, by path without token.
    bodies: Mapping[str, bytes]
    url: str = ""
    #: What it keeps copies by: path without token, token, headers in lower case.
    key: Callable[[str, str, Mapping[str, str]], object] = lambda path, _token, _headers: path
    #: How many copies it has room for.
    room: int = 1_000_000
    #: Whether it keeps what it calls hits.
    refetches: bool = False
    #: Whether it tells the age of its copies, and the origin's own number of each.
    tells_age: bool = True
    tells_nonce: bool = False
    #: Paths that it believes to be missing, copies that it calls stale, and seconds that it adds to every age.
    missing: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    older: int = 0
    #: What it does to bodies.
    spoil: Callable[[bytes], bytes] = lambda body: body
    name: str = "cdg-1"
    #: Called with how many requests there were: a status and headers that it answers instead, if any.
    refuse: Callable[[int], tuple[int, dict[str, str]] | None] = lambda _number: None
    #: Requests by path, and those that went to the origin.
    asked: Counter[str] = field(default_factory=Counter)
    fetched: Counter[str] = field(default_factory=Counter)
    copies: OrderedDict[object, Copy] = field(default_factory=OrderedDict)
    #: When each request came.
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    nonces: Iterator[int] = field(default_factory=count)

    def answer(self, target: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        with self.lock:
            self.times.append(time.monotonic())
            refusal = self.refuse(len(self.times))
            if refusal:
                return *refusal, b""
            token, path = target[3:].split("/", 1) if target.startswith("/k/") else ("", target[1:])
            self.asked[path] += 1
            if path in self.missing:
                return 404, {"Cache-Status": f"{self.name}; hit", "X-Cache-Status": "HIT"}, b""
            return self._given(path, self.key(path, token, headers))

    def _given(self, path: str, key: object) -> tuple[int, dict[str, str], bytes]:
        hit = key in self.copies
        if not hit or self.refetches:
            self.fetched[path] += 1
            self.copies[key] = Copy(body=self.bodies[path], kept=time.monotonic(), nonce=next(self.nonces))
            while len(self.copies) > self.room:
                self.copies.popitem(last=False)
        copy = self.copies.get(key) or Copy(body=self.bodies[path], kept=time.monotonic(), nonce=0)
        if key in self.copies:
            self.copies.move_to_end(key)
        told = {
            "Cache-Status": f"{self.name}; {'hit' if hit else 'fwd=uri-miss'}",
            "X-Cache-Status": ("STALE" if path in self.stale else "HIT") if hit else "MISS",
            "X-Served-By": self.name,
            "Cache-Control": YEAR,
        }
        if self.tells_age:
            told["Age"] = str(int(time.monotonic() - copy.kept) + self.older)
        if self.tells_nonce:
            told["X-Amz-Request-Id"] = str(copy.nonce)
        return 200, told, self.spoil(copy.body)


@contextmanager
def standing(liar: Liar) -> Iterator[Liar]:
    """That edge on loopback, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told, body = liar.answer(self.path, headers)
            whole = len(body)
            if status == 200 and "range" in headers:
                status, body = 206, body[:1024]
                told["Content-Range"] = f"bytes 0-{len(body) - 1}/{whole}"
            head = [f"HTTP/1.1 {status} x", *(f"{n}: {v}" for n, v in told.items()), f"Content-Length: {len(body)}"]
            self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    liar.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

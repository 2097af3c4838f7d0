"""
An edge, asked the way a player asks it: GET, the players' own headers, the body read to its end and dropped.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType

from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError

from pipelines.errors import EdgeError

#: What browsers send for segments and playlists alike; an edge that keeps one copy per encoding must warm theirs.
PLAYER: Mapping[str, str] = MappingProxyType({"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br"})

#: An edge that collapses requests may hold ours for a minute while a slow origin answers another's.
TIMEOUT = Timeout(connect=5.0, read=75.0)

#: A connection that the edge had closed unseen is opened again, once. A redirect is not the object.
AGAIN = Retry(total=1, redirect=False)

BLOCK = 256 << 10
UNDONE = ("", "identity", "gzip", "deflate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an edge said to one GET."""

    status: int
    #: Names in lower case; what came several times is joined with commas.
    headers: Mapping[str, str] = field(repr=False)
    #: Bytes of the body as the store holds it; None if it came compressed in a way that we can't undo.
    size: int | None
    #: From asking to the last byte.
    seconds: float


class EdgeClient(AbstractContextManager["EdgeClient"]):
    """One edge and the connections to it, which are kept: for as many threads as `connections`."""

    def __init__(self, name: str, url: str, *, connections: int = 1) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self._pool = PoolManager(maxsize=connections, block=True, timeout=TIMEOUT)

    def fetch(self, key: str, headers: Mapping[str, str] = PLAYER) -> Answer:
        """GET one object. Raises `EdgeError` when the edge does not answer, or not to the end."""
        begun = time.monotonic()
        try:
            # Unread until asked for: memory stays flat whatever the size.
            response = self._pool.request(
                "GET", f"{self.url}/{key}", headers=dict(headers), preload_content=False, retries=AGAIN
            )
            size = _drained(response)
        except HTTPError as error:
            cause = error.reason if isinstance(error, MaxRetryError) else error
            raise EdgeError(
                f"Edge {self.name} ({self.url}) does not answer: {type(cause).__name__} for {key}.",
                hint="See whether it is up, and whether this host reaches it.",
            ) from error
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            size=size,
            seconds=time.monotonic() - begun,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()


def _drained(response: BaseHTTPResponse) -> int | None:
    """Read to the end, so that the edge keeps the whole and the connection can be used again."""
    try:
        size = sum(len(block) for block in response.stream(BLOCK, decode_content=True))
    finally:
        response.release_conn()
    return size if response.headers.get("Content-Encoding", "").lower() in UNDONE else None

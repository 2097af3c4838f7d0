"""
A delivery's sources, made readable to tools that know only paths and URLs.

A local file is read where it is. An S3 object is read by range through a loopback address that exists only while the
step runs and answers only under a path nobody can guess: no credential in an argv, no copy of the whole on any host.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from pathlib import Path

from pipelines.errors import DeliveryError, ToolError
from pipelines.source import Source
from pipelines.tools.loopback import Loopback
from pipelines.tools.s3 import Remote, Store

#: Bytes asked for at once. Large enough to hide the store's latency; small enough that no connection to it stays open
#: while a slow tool digests what it has.
WINDOW = 2 << 20


@contextmanager
def readable(source: Source, store: Store) -> Iterator[str]:
    """
    A path or a loopback URL from which a tool reads `source` for as long as the context lasts.

    When the source failed (it changed, the store is down), that is raised at the end, also in place of what the tool
    made of it: a `ToolError`, or a `DeliveryError` that says it is cut short.
    """
    if not _remote(source.uri):
        with _local(source):
            yield source.uri
        return
    remote = _as_remote(source)
    with Loopback(
        size=remote.size, window=WINDOW, read=lambda first, last: store.ranged(remote, first, last)
    ) as server:
        try:
            yield server.url
        except (ToolError, DeliveryError) as error:
            if server.failure:
                raise server.failure from error
            raise
        if server.failure:
            raise server.failure


def stream(source: Source, store: Store) -> RawIOBase:
    """`source` as a seekable file object, read by range."""
    if _remote(source.uri):
        return _Ranged(_as_remote(source), store)
    return _local(source)


def protocols(address: str) -> str:
    """What ffmpeg's `-protocol_whitelist` must allow for that address, and nothing more."""
    return "http,tcp" if address.startswith("http://127.0.0.1:") else "file"


def identify(uri: str, store: Store) -> Source:
    """The source at `uri` and the identity of its content now. Raises `DeliveryError` when it is missing or empty."""
    source = _identify_object(uri, store) if _remote(uri) else _identify_file(Path(uri))
    if source.size == 0:
        raise DeliveryError(f"{uri} is empty.", hint="Deliver it again.")
    return source


def sha256(source: Source, store: Store) -> str:
    """The sha256 of all of `source`, in hex. An object is read once from end to end; a file has been already."""
    if source.sha256:
        return source.sha256
    digest = hashlib.sha256()
    with closing(stream(source, store)) as whole:
        while block := whole.read(WINDOW):
            digest.update(block)
    return digest.hexdigest()


class _Ranged(RawIOBase):
    """An object of the store as a file. One window of it is kept, for readers of many small pieces."""

    def __init__(self, remote: Remote, store: Store) -> None:
        super().__init__()
        self._remote = remote
        self._store = store
        self._position = 0
        self._start = 0
        self._window = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._remote.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # as RawIOBase calls it
        if self._position >= self._remote.size:
            return 0
        if not 0 <= self._position - self._start < len(self._window):
            self._start = self._position
            last = min(self._start + WINDOW, self._remote.size) - 1
            self._window = self._store.ranged(self._remote, self._start, last)
        at = self._position - self._start
        piece = self._window[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def _remote(uri: str) -> bool:
    return uri.startswith("s3://")


def _as_remote(source: Source) -> Remote:
    bucket, _, key = source.uri.removeprefix("s3://").partition("/")
    return Remote(bucket=bucket, key=key, size=source.size, etag=source.etag, version=source.version)


def _identify_object(uri: str, store: Store) -> Source:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found = store.examine(bucket, key)
    if found is None:
        raise DeliveryError(f"{uri} does not exist.", hint="Correct the address in episode.toml, or deliver it.")
    return Source(uri=uri, size=found.size, etag=found.etag, version=found.version)


def _identify_file(path: Path) -> Source:
    with _opened(path) as file:
        before = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DeliveryError(f"{path} is being written to.", hint="Run again once it is complete.")
    return Source(uri=str(path), size=after.st_size, sha256=sha256)


def _local(source: Source) -> RawIOBase:
    """The file as it was examined, as far as its size tells: hashing it again for each step would cost too much."""
    file = _opened(Path(source.uri))
    if os.fstat(file.fileno()).st_size != source.size:
        file.close()
        raise DeliveryError(f"{source.uri} changed since it was examined.", hint="Run again once it is left alone.")
    return file


def _opened(path: Path) -> RawIOBase:
    """The file at `path`. Only a regular one: opening a pipe or a device may wait for ever, or do things."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        hint = "Correct the path in episode.toml, or deliver the file."
        raise DeliveryError(f"{path} does not exist.", hint=hint) from error
    except PermissionError as error:
        raise DeliveryError(f"{path} may not be read by this user.", hint="Change its permissions.") from error
    except OSError as error:
        raise DeliveryError(f"{path} can't be read: {error.strerror}.", hint="Check the path and its disk.") from error
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
    raise DeliveryError(f"{path} is {kind}, not a file.", hint="Name a file in episode.toml.")

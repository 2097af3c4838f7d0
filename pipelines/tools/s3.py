"""
The object store: S3 through boto3, and nothing that only one vendor has.

An object is named by its key and known by its sha256, which the store itself checks on arrival (`ChecksumSHA256`) and
gives back on HEAD. Whatever must not change is written with `If-None-Match: *`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object as HEAD tells it."""

    key: str
    size: int
    #: Hex; empty if the object was not written by us.
    sha256: str
    etag: str
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An object to be written."""

    key: str
    body: bytes | Path
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An object that is in the store, whether this call wrote it or an earlier one."""

    key: str
    size: int
    sha256: str


class Store:
    """One bucket. Raises `StoreError` (down, slow, refuses) or `ConfigurationError` (credentials, no such bucket)."""

    def put_once(self, upload: Upload) -> Written:
        """Write an object that never changes. If it is there already with the same sha256, that is success."""
        raise NotImplementedError

    def put_all(self, uploads: Iterable[Upload], *, watch: Callable[[], None] = lambda: None) -> list[Written]:
        """`put_once` for many at a time, in no order; returns them in the order given. All are there on return."""
        raise NotImplementedError

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        """Write a changing object if its ETag is still `etag` (None: if it does not exist). False: somebody was first."""
        raise NotImplementedError

    def head(self, key: str) -> Stored | None:
        raise NotImplementedError

    def get(self, key: str, *, limit: int = 64 << 20) -> tuple[bytes, str] | None:
        """The object's bytes and ETag, if it exists. More than `limit` bytes is an error."""
        raise NotImplementedError

    def fetch(self, key: str, path: Path, *, sha256: str) -> None:
        """Copy an object to `path`; the bytes are checked against `sha256` while they arrive."""
        raise NotImplementedError

    def keys(self, prefix: str) -> Iterator[str]:
        raise NotImplementedError

    def delete(self, keys: Iterable[str]) -> None:
        raise NotImplementedError

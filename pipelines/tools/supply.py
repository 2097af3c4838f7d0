"""
A delivery's sources, made readable to tools that know only paths and URLs.

A local file is read where it is. An S3 object is read by range through a loopback address that exists only while the
step runs and answers only under a path nobody can guess: no credential in an argv, no copy of the whole on any host.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase

from pipelines.source import Source
from pipelines.tools.s3 import Store


@contextmanager
def readable(source: Source, store: Store) -> Iterator[str]:
    """A path or a loopback URL from which a tool reads `source` for as long as the context lasts."""
    raise NotImplementedError


def stream(source: Source, store: Store) -> RawIOBase:
    """`source` as a seekable file object, read by range."""
    raise NotImplementedError


def protocols(address: str) -> str:
    """What ffmpeg's `-protocol_whitelist` must allow for that address, and nothing more."""
    return "http,tcp" if address.startswith("http://127.0.0.1:") else "file"


def identify(uri: str, store: Store) -> Source:
    """The source at `uri` and the identity of its content now. Raises `DeliveryError` when it is missing or empty."""
    raise NotImplementedError

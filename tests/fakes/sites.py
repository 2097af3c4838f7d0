"""What tests of the edge are given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3

from pipelines.layout import Names
from pipelines.tools.s3 import Store
from pipelines.warm import Edge
from tests.fakes.origin import Origin

SECRET = "the-edges-own-secret-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A store, closed to all but the edge before it."""

    store: Store
    edge: Edge
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """An edge before an origin that counts."""

    origin: Origin
    edge: Edge
    folder: Path


#: Method, path or URL, and headers of a request; no body is decompressed, no redirect followed.
Ask = Callable[..., urllib3.BaseHTTPResponse]

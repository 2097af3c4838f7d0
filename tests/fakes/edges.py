"""Edges of either kind before an origin that counts, and the names that a test asks them for."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest
import urllib3

from pipelines.warm import Edge
from scripts.edge import PATH, nginx, varnish
from scripts.edge.site import Limits, Origin, Site
from tests.fakes.origin import IMMUTABLE, Reply
from tests.fakes.origin import Origin as Counting
from tests.fakes.sites import SECRET

DOOR = "what-a-pop-says-at-the-door-0123"
KEY = "what-tokens-are-made-with-012345"
HLS = {"Content-Type": "application/vnd.apple.mpegurl"}


class Run(Protocol):
    def __call__(self, folder: Path, site: Site, *, port: int = 0) -> AbstractContextManager[Edge]: ...


SERVERS: dict[str, Run] = {"nginx": nginx.running, "varnish": varnish.running}
PROGRAMS = {"nginx": "nginx", "varnish": "varnishd"}
MODULES = {
    "nginx": ("nginx/modules/ngx_http_js_module.so",),
    "varnish": ("*/varnish/vmods/libvmod_vsthrottle.so", "*/varnish/vmods/libvmod_digest.so"),
}


def need(kind: str) -> None:
    """Servers and their modules come from the system; without one a laptop skips, and CI fails."""
    found = [any(Path("/usr/lib").glob(module)) for module in MODULES[kind]]
    if not shutil.which(PROGRAMS[kind], path=PATH) or not all(found):
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell(f"{kind} or a module of it is not installed (scripts/setup)")


def before(origin: Counting, *others: Counting, name: str = "edge", **described: object) -> Site:
    """A site that asks the bucket of one or two stores."""
    stores = tuple(Origin(endpoint=one.endpoint, bucket="bucket", secret=SECRET) for one in (origin, *others))
    return replace(Site(name=name, origins=stores, cache_size="64m"), **described)  # type: ignore[arg-type]  # fields


@contextmanager
def chain(
    folder: Path,
    kinds: tuple[str, str],
    origin: Counting,
    *,
    token_key: str | None = None,
    limits: Limits | None = None,
) -> Iterator[tuple[Edge, Edge]]:
    """A PoP before a shield before the origin: (PoP, shield)."""
    for kind in kinds:
        need(kind)
    limits = limits or Limits()
    with ExitStack() as stack:
        site = before(origin, name="shield", door=DOOR, limits=limits)
        shield = stack.enter_context(SERVERS[kinds[1]](folder / "shield", site))
        behind = Origin(endpoint=shield.url, bucket=None, secret=DOOR)
        site = Site(name="pop", origins=(behind,), token_key=token_key, limits=limits, cache_size="64m")
        yield stack.enter_context(SERVERS[kinds[0]](folder / "pop", site)), shield


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An origin, and names that nobody has asked for before."""

    origin: Counting
    name: str = field(default_factory=lambda: secrets.token_hex(13))

    @property
    def segment(self) -> str:
        return f"/t/{self.name}/00001.m4s"

    @property
    def playlist(self) -> str:
        return f"/v/{self.name}/main.m3u8"

    @property
    def entry(self) -> str:
        return f"/e/{self.name}/main.m3u8"

    def keep(self, path: str, reply: Reply | Callable[[int], Reply]) -> None:
        self.origin.replies["/bucket" + path] = reply

    def says(self, path: str, body: bytes, cache_control: str = IMMUTABLE["Cache-Control"]) -> None:
        """A playlist or entry point, as the store gives it."""
        self.keep(path, Reply(body=body, headers={**HLS, "Cache-Control": cache_control}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Asked):
    """One edge before the origin."""

    kind: str
    edge: Edge
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Asked):
    """A PoP before a shield before the origin."""

    pop: Edge
    shield: Edge


def did(answer: urllib3.BaseHTTPResponse) -> list[str]:
    """The caches of an answer, from the origin's side on, without what is left of the object's life."""
    said = ", ".join(answer.headers.getlist("Cache-Status")).split(", ")
    return ["; ".join(part for part in one.split("; ") if not part.startswith("ttl=")) for one in said]

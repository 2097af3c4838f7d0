"""
One edge, played through: entry point, playlists, the first segments of a rung and of every language's sound, decoded.

What comes must be what was published, byte for byte: that it is the right language follows from the inventory, not from
what a manifest calls it. Nothing is decoded from the network: what came lies in a file before a decoder sees it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import layout
from pipelines.canary.route import (
    NotPlayedError,
    Offered,
    Protocol,
    Route,
    check,
    dash_route,
    hls_route,
    length,
    playlists,
)
from pipelines.errors import EdgeError, ToolError
from pipelines.release import generation_of
from pipelines.tools.decode import decode
from pipelines.version import Item
from pipelines.warm.edges import Edge
from pipelines.warm.players import APPLE, asked_by
from pipelines.warm.sweep import Ask, Asker

ENTRIES: dict[Protocol, str] = {"hls": layout.MULTIVARIANT_PLAYLIST, "dash": layout.MPD}

#: Seconds until an edge must show a flip: an entry point lives five, and one is for the way.
PATIENCE = 7.0
#: Seconds between two looks at an entry point that is behind.
AGAIN = 0.5
#: Seconds by which what is decoded may be shorter than its segments: a few AAC frames, at the cut.
SHORT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One language through one edge."""

    edge: str
    protocol: Protocol
    language: str
    #: Why a player would not have played it; empty: it would.
    fault: str = ""
    #: From the first request for it to the last decoded frame. What another language had fetched counts once.
    seconds: float


class SupersededError(Exception):
    """The edge shows a later generation: what was to be looked at is not what viewers are to get any more."""


def play(edge: Edge, wanted: Offered, folder: Path) -> Iterator[Played]:
    """
    Every language by either protocol; `folder` is for what comes. Raises `SupersededError` as above, and
    `ConfigurationError` when the edge's secrets can't be read.
    """
    with Asker(edge) as asker, _Viewer(edge=edge, asker=asker, wanted=wanted, folder=folder) as viewer:
        for protocol in ENTRIES:
            yield from viewer.played(protocol)


@dataclass(kw_only=True)
class _Viewer(AbstractContextManager["_Viewer"]):
    """Keeps what it has fetched and decoded, as players' caches do."""

    edge: Edge
    asker: Asker
    wanted: Offered
    folder: Path
    got: dict[str, bytes] = field(default_factory=dict)
    decoded: set[tuple[str, ...]] = field(default_factory=set)

    def __exit__(self, *_: object) -> None:
        (self.folder / "media.mp4").unlink(missing_ok=True)

    def played(self, protocol: Protocol) -> Iterator[Played]:
        """Every language; all fail that depend on an entry point which does not come."""
        began = time.monotonic()
        key, entry, fault = layout.entry_points(self.wanted.episode) + ENTRIES[protocol], "", ""
        try:
            entry = self._entry(key)
        except (NotPlayedError, EdgeError) as error:
            fault = _told(error)
        for language in self.wanted.languages:
            fault_here = fault or self._fault(protocol, key, entry, language)
            spent, began = round(time.monotonic() - began, 3), time.monotonic()
            yield Played(edge=self.edge.name, protocol=protocol, language=language, fault=fault_here, seconds=spent)

    def _fault(self, protocol: Protocol, key: str, entry: str, language: str) -> str:
        try:
            route = self._route(protocol, key, entry, language)
            check(route, self.wanted, language)
            for keys in (route.picture, route.sound):
                self._decode(keys)
        except (NotPlayedError, EdgeError, ToolError) as error:
            return _told(error)
        return ""

    def _entry(self, key: str) -> str:
        """The entry point, once it is of the generation that it should be."""
        until = time.monotonic() + PATIENCE
        while True:
            body = self._asked(key, viewer=None)
            found = generation_of(body)
            if found > self.wanted.generation:
                raise SupersededError
            if found == self.wanted.generation:
                return body.decode()
            if time.monotonic() > until:
                raise NotPlayedError(f"`{key}` is of generation {found}, not {self.wanted.generation}")
            self.asker.pause(AGAIN)

    def _route(self, protocol: Protocol, key: str, entry: str, language: str) -> Route:
        if protocol == "dash":
            return dash_route(key, entry, language)
        picture, sound = playlists(key, entry, language)
        texts = {playlist: self._media(playlist).decode() for playlist in (picture, sound)}
        return hls_route(key, {key: entry, **texts}, picture, sound)

    def _media(self, key: str) -> bytes:
        """An object of a track, which never changes."""
        if key not in self.wanted.sha256:
            raise NotPlayedError(f"`{key}` is named, which viewers are not to get")
        if key not in self.got:
            self.got[key] = self._asked(key, viewer=0)
        return self.got[key]

    def _asked(self, key: str, *, viewer: int | None) -> bytes:
        item = Item(key=key, size=0, sha256=self.wanted.sha256.get(key, ""))
        ask = Ask(index=0, item=item, headers=asked_by(APPLE, item), viewer=viewer, hashed=True, kept=True)
        answer = self.asker.one(ask).answer
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise NotPlayedError(f"`{key}` is answered with {answer.status}")
        if item.sha256 and answer.sha256 != item.sha256:
            raise NotPlayedError(f"`{key}` is not what was published: its sha256 differs")
        return answer.body

    def _decode(self, keys: Sequence[str]) -> None:
        """Raise `NotPlayedError` unless the segments decode without a fault, and to their full length."""
        if tuple(keys) in self.decoded:
            return
        path = self.folder / "media.mp4"
        with path.open("wb") as file:
            for key in keys:
                file.write(self._media(key))
        seconds = sum(frame.duration for frame in decode(str(path), "mov", 0).frames)
        if seconds < length(keys, self.wanted) - SHORT:
            raise NotPlayedError(f"`{keys[0]}` and what follows decode to {float(seconds):.2f} s only")
        self.decoded.add(tuple(keys))


def _told(error: Exception) -> str:
    return str(error).rstrip(".")

"""
The entry points of an episode: what its ref says, written where viewers ask.

The ref is a row in the ledger; these objects mirror it. They carry its generation, and a lower generation never
replaces a higher one, so that any clock may finish what another began.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pipelines import layout
from pipelines.availability import EVERYWHERE, Availability, Territory
from pipelines.errors import ReleaseError, StoreError
from pipelines.layout import Names
from pipelines.manifests.dash import mpd
from pipelines.manifests.hls import multivariant
from pipelines.policy import Policy
from pipelines.tools.s3 import Store, Upload
from pipelines.track import AudioTrack, TextTrack, Track
from pipelines.trim import WHOLE, Trim, trimmed
from pipelines.wire import canonical, from_data, to_data

#: Clocks that meet at one object: each write that is lost means that another's was not.
TRIES = 20

#: Where a body says its generation: always the same place, so that no title can say another.
GENERATION = re.compile(rb"#EXTM3U\n## avant generation=(\d+) |(?:<\?xml [^>]*\?>\s*)?<!-- avant generation=(\d+) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Which version of an episode viewers get."""

    episode: str
    #: Rises by one with every flip; 0 is the "not yet" before the first.
    generation: int
    state: Literal["not-yet", "released"]
    #: Digest of the version, once released.
    version: str | None
    #: When the flip was committed, by the ledger's clock.
    flipped_at: datetime | None
    #: What of it new sessions are not offered.
    trim: Trim = WHOLE
    #: Codes of the territories in which it has ended.
    ended: tuple[str, ...] = ()


def entry_points(
    ref: Ref,
    tracks: Sequence[Track],
    policy: Policy | None,
    names: Names,
    where: Availability = EVERYWHERE,
) -> dict[str, bytes]:
    """
    The bodies of an episode's entry points by file name, in the order in which they are written; of each territory too.

    `tracks` and `policy` are those of the version that `ref` names; a ref that says "not yet" looks at neither.
    Raises `ReleaseError` for a released ref without a version.
    """
    bodies: dict[str, bytes] = {}
    for each in where.territories:
        own = _own(ref, tracks, policy, names, each)
        bodies |= {layout.territory(each.code) + file: body for file, body in own.items()}
    return bodies


def _own(
    ref: Ref, tracks: Sequence[Track], policy: Policy | None, names: Names, territory: Territory
) -> dict[str, bytes]:
    """The entry points of one territory."""
    if ref.state == "not-yet":
        return _nothing(ref, "not-yet", "NotYet")
    if territory.code in ref.ended:
        return _nothing(ref, "ended", "Ended")
    if ref.version is None or policy is None or not tracks:
        raise ReleaseError(
            f"Episode `{ref.episode}` is released as generation {ref.generation}, but with no version.",
            hint="Release a version of it.",
        )
    policy = replace(policy, default_language=territory.default_language or policy.default_language)
    tracks, policy = trimmed(tracks, policy, ref.trim)
    place = layout.deeper if territory.code else str
    tracks = [replace(track, prefix=place(track.prefix)) for track in tracks]
    said = f"avant generation={ref.generation} state=released"
    name = names.version(ref.version)
    return {
        layout.MULTIVARIANT_PLAYLIST: _after(r"#EXTM3U\n", f"## {said}\n", multivariant(tracks, policy)),
        layout.MPD: _after(r"<\?xml [^>]*\?>\s*", f"<!-- {said} -->\n", mpd(tracks, policy)),
        layout.RELEASE: canonical(
            {
                **_told(ref),
                "version": name.removeprefix("v/").removesuffix("/"),
                "hls": layout.MULTIVARIANT_PLAYLIST,
                "dash": layout.MPD,
                "languages": _languages(tracks),
                "chapters": layout.from_manifest(place(name), layout.CHAPTERS),
                # Manifests show it anyway. A ledger that has lost it must not bring back what was withdrawn.
                **({} if ref.trim == WHOLE else {"trim": to_data(ref.trim)}),
            }
        ),
    }


def generation_of(body: bytes) -> int:
    """The generation that an entry point's body carries; -1, which anything replaces, where it carries none."""
    if body.startswith(b"{"):
        return _generation_told(body)
    found = GENERATION.match(body)
    return int(found[1] or found[2]) if found else -1


def trim_of(body: bytes) -> Trim:
    """The trim that a `release.json` tells. Raises `StoreError` if it can't be told: none is not the same."""
    try:
        return from_data(Trim, json.loads(body).get("trim", {}))
    except ValueError as error:
        raise StoreError(
            "A `release.json` says of what is withdrawn or capped what we never wrote.",
            hint="Put it back as it was: older versions of the object, or the edges, may have it.",
        ) from error


def mirror(store: Store, ref: Ref, bodies: Mapping[str, bytes]) -> None:
    """
    Bring an episode's entry points up to `ref`. Killed at any moment, it can be repeated, by anyone.

    What says a higher generation is left alone. Raises `StoreError` when the store is down, or others never rest.
    """
    for file, body in bodies.items():
        upload = Upload(
            key=layout.entry_points(ref.episode) + file,
            body=body,
            content_type=layout.content_type(file),
            cache_control=layout.NOT_YET if ref.state == "not-yet" else layout.RELEASED,
        )
        _raise_to(store, upload, ref.generation, body)


def _raise_to(store: Store, upload: Upload, generation: int, body: bytes) -> None:
    for _ in range(TRIES):
        found = store.get(upload.key)
        if found and (found[0] == body or generation_of(found[0]) > generation):
            return
        if store.swap(upload, etag=found[1] if found else None):
            return
    raise StoreError(f"`{upload.key}` was changed by others {TRIES} times while generation {generation} was written.")


def _nothing(ref: Ref, state: Literal["not-yet", "ended"], root: str) -> dict[str, bytes]:
    """
    Nothing that a player plays, so that it says so; nothing of the version, and no time.

    HLS: no variant stream, which hls.js and Safari call an error. DASH: a root that is not `MPD`.
    """
    said = f"avant generation={ref.generation} state={state}"
    return {
        layout.MULTIVARIANT_PLAYLIST: f"#EXTM3U\n## {said}\n".encode(),
        layout.MPD: f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {said} -->\n<{root}/>\n'.encode(),
        layout.RELEASE: canonical({**_told(ref), "state": state}),
    }


def _told(ref: Ref) -> dict[str, Any]:
    return {"episode": ref.episode, "state": ref.state, "generation": ref.generation}


def _after(head: str, line: str, body: str) -> bytes:
    """`body` with `line` after its `head`, a pattern, or before everything if it has none."""
    found = re.match(head, body)
    end = found.end() if found else 0
    return f"{body[:end]}{line}{body[end:]}".encode()


def _languages(tracks: Sequence[Track]) -> dict[str, list[str]]:
    """What apps offer before they have read a manifest, in the order of the tracks."""
    audio = (track.language for track in tracks if isinstance(track, AudioTrack))
    text = (track.language for track in tracks if isinstance(track, TextTrack))
    return {"audio": list(dict.fromkeys(audio)), "text": list(dict.fromkeys(text))}


def _generation_told(body: bytes) -> int:
    try:
        told = json.loads(body).get("generation")
    except ValueError:
        return -1
    return told if type(told) is int else -1

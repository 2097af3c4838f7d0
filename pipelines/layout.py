"""
Where everything is in the bucket. Nothing else knows an object key.

    t/NAME/     a track: init segment, media segments, playlists           public, immutable
    v/NAME/     a version: multivariant playlist, MPD, chapters            public, immutable
    e/EPISODE/  an episode's entry points: the mirror of its ref           public, short-lived
    e/EPISODE/FR/           those of a territory                           public, short-lived
    inventories/NAME.json   what must be in a track or version, by sha256  private
    warming/NAME.json       how far the warming of one edge is            private
    attempts/STEP/TOKEN/    what one attempt of a step made                private

Public names are keyed: an HMAC of the digest, so that knowing an episode's inputs does not reveal its URLs.
Entry points and versions stand equally deep, so that both reach tracks as `../../t/NAME/…`; a territory's stand
one deeper.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

PUBLIC = ("t/", "v/", "e/")
ATTEMPTS, WARMING = "attempts/", "warming/"

IMMUTABLE = "public, max-age=31536000, immutable"
#: Seconds for which edges keep an entry point after T.
TTL = 5
#: After T: short enough for a flip to be seen, served stale only while the origin fails.
RELEASED = f"public, max-age={TTL}, stale-if-error=86400"
#: Before T: collapsed at the edge for a second, never served stale.
NOT_YET = "public, max-age=1, must-revalidate"
PRIVATE = "private, no-store"

INIT = "init.mp4"
MEDIA_PLAYLIST = "media.m3u8"
IFRAME_PLAYLIST = "iframes.m3u8"
WHOLE_TEXT = "all.vtt"
THUMBNAIL_INDEX = "index.vtt"
MULTIVARIANT_PLAYLIST = "main.m3u8"
MPD = "main.mpd"
CHAPTERS = "chapters.json"
RELEASE = "release.json"

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".vtt": "text/vtt; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
}


#: Where all of a track or a version is, and where one intermediate is.
PREFIX = re.compile(r"[tv]/([a-z2-7]{26})/")
INTERMEDIATE = re.compile(r"attempts/([^/]+)/([0-9]{1,18})/.+")


def content_type(key: str) -> str:
    """The media type that the object at `key` is served with."""
    return CONTENT_TYPES[key[key.rindex(".") :]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Turns digests into public names, with the farm's secret."""

    key: bytes = field(repr=False)
    #: By digest, names that are not what follows from the digest alone: of what was made again.
    known: Mapping[str, str] = field(default_factory=dict, repr=False)

    def name(self, digest: str) -> str:
        """26 letters and digits (130 bits) that only the holder of the key can tell from the digest."""
        return self.known.get(digest) or self.again(digest, 0)

    def again(self, digest: str, life: int) -> str:
        """
        The name of what has that digest and was collected `life` times: another each time.

        Under its old name edges may still hold other bytes, and a collection may still be deleting.
        """
        said = bytes.fromhex(digest) + (life.to_bytes(4, "big") if life else b"")
        return base64.b32encode(hmac.new(self.key, said, hashlib.sha256).digest()).decode().lower()[:26]

    def knowing(self, keys: Mapping[str, str]) -> "Names":
        """These names, and those of tracks and versions that are at `keys`, by digest."""
        found = {digest: PREFIX.fullmatch(key) for digest, key in keys.items()}
        return replace(self, known={**self.known, **{digest: match[1] for digest, match in found.items() if match}})

    def to_be_made(self, digests: Iterable[str], life: int) -> "Names":
        """These names, and those of what is made for the first time after it was collected `life` times."""
        return replace(self, known={**self.known, **{digest: self.again(digest, life) for digest in digests}})

    def track(self, digest: str) -> str:
        return f"t/{self.name(digest)}/"

    def version(self, digest: str) -> str:
        return f"v/{self.name(digest)}/"

    def inventory(self, digest: str) -> str:
        return inventory(self.track(digest))

    def warming(self, digest: str) -> str:
        return f"{WARMING}{self.name(digest)}.json"


def entry_points(episode: str) -> str:
    """The prefix of an episode's entry points."""
    return f"e/{episode}/"


def territory(code: str) -> str:
    """What stands before the names of a territory's entry points, among those of its episode."""
    return f"{code}/" if code else ""


def deeper(prefix: str) -> str:
    """What a territory's entry points must take the prefix of a track or a version for."""
    return f"../{prefix}"


def attempt(step: str, token: int) -> str:
    """The prefix that one attempt of a step writes to."""
    return f"{ATTEMPTS}{step}/{token}/"


def inventory(prefix: str) -> str:
    """The key of what must be below the prefix of a track or a version."""
    return f"inventories/{prefix.split('/')[1]}.json"


def from_manifest(prefix: str, file: str) -> str:
    """What a manifest in `v/NAME/` or `e/EPISODE/` calls `file` of the track at `prefix`."""
    return f"../../{prefix}{file}"


def segment(number: int, suffix: str) -> str:
    """The name of the segment or sprite of that number, counted from one."""
    return f"{number:05d}{suffix}"


#: The same name as a DASH template.
SEGMENT_TEMPLATE = "$Number%05d$"

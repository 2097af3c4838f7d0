"""
Media playlists: one track's segments, in order, with how long each lasts.

Rendered here and not by the packager, whose target duration for 6.006 s segments is 7.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFrame:
    """A key frame within a media segment: what a player fetches to show one picture of a group."""

    #: The segment.
    uri: str
    #: Seconds until the next key frame.
    duration: Fraction
    #: Bytes: where its moof begins, and how many there are from there to the end of the picture.
    start: int
    length: int


def media_playlist(entries: Iterable[tuple[Fraction, str]], target: int, map_uri: str | None) -> str:
    """
    The playlist of a whole track.

    `entries` are (seconds, URI) of each segment, `target` the longest of them in whole seconds (RFC 8216, 4.3.3.1),
    `map_uri` the init segment, which text has not.
    """
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:1",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *([f'#EXT-X-MAP:URI="{map_uri}"'] if map_uri else []),
    ]
    for seconds, uri in entries:
        # Microseconds: rounding adds up to less than a millisecond in a day.
        lines += [f"#EXTINF:{float(seconds):.6f},", uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def iframe_playlist(entries: Iterable[KeyFrame], target: int, map_uri: str) -> str:
    """The playlist of a track's key frames alone, for scrubbing (RFC 8216, 4.3.3.6)."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:1",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-I-FRAMES-ONLY",
        f'#EXT-X-MAP:URI="{map_uri}"',
    ]
    for entry in entries:
        lines += [f"#EXTINF:{float(entry.duration):.6f},", f"#EXT-X-BYTERANGE:{entry.length}@{entry.start}", entry.uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])

"""
Committed chunks or sound in, a published track out: init segment, media segments, playlists, inventory.

A track is CMAF, one set of segments for HLS and DASH. Order on the store: segments, init segment, playlists, and last
the inventory. Every write is conditional, so that doing it twice is harmless.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.cadence import Cadence
from pipelines.delivery import AudioRole, TextKind

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One media segment, as it is in the store."""

    #: Ticks of the track's timescale.
    duration: int
    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """What manifests need to know of a video track."""

    kind: Literal["video"] = "video"
    digest: str
    prefix: str
    codecs: str
    width: int
    height: int
    frame_rate: Fraction
    timescale: int
    segments: tuple[Segment, ...]
    #: Bits per second of the key frames alone: highest of any group of pictures, and over all.
    iframe_peak: int
    iframe_average: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """What manifests need to know of an audio track."""

    kind: Literal["audio"] = "audio"
    digest: str
    prefix: str
    codecs: str
    language: str
    role: AudioRole
    channels: int
    sample_rate: int
    timescale: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTrack:
    """What manifests need to know of a text track: WebVTT segments for HLS, one whole file for DASH."""

    kind: Literal["text"] = "text"
    digest: str
    prefix: str
    language: str
    text_kind: TextKind
    #: Bytes of the whole file.
    size: int
    #: Seconds of the programme.
    duration: Fraction
    #: Media segments in the playlist.
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailTrack:
    """What manifests need to know of the sprites."""

    kind: Literal["thumbnails"] = "thumbnails"
    digest: str
    prefix: str
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    #: Seconds from one tile to the next.
    interval: Fraction
    #: Sprites.
    sprites: int
    #: Bytes of the largest sprite.
    largest: int


Track = VideoTrack | AudioTrack | TextTrack | ThumbnailTrack


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageJob:
    """Chunks of one rung, or one language's sound, to be cut into segments and published."""

    kind: Literal["package"] = "package"
    #: Of the track.
    digest: str
    medium: Literal["video", "audio"]
    #: The chunks in order, or the one sound.
    inputs: tuple[str, ...]
    cadence: Cadence
    #: Frames of each chunk, in order; of sound, its samples.
    lengths: tuple[int, ...]
    language: str = ""
    role: AudioRole = "original"

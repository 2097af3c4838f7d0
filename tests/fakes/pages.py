"""
An episode's tracks written by hand, in three languages, and the store that would hold them.

24 s at 25 fps; segments of 5.76 s and a short last one; Brazilian Portuguese is the original, English has a
description and 5.1, Arabic has only stereo.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256

from pipelines import layout
from pipelines.cadence import Cadence
from pipelines.lint.finding import Shelf
from pipelines.manifests.dash import mpd
from pipelines.manifests.hls import multivariant
from pipelines.playlist import KeyFrame, iframe_playlist, media_playlist
from pipelines.policy import Mark, Policy
from pipelines.track import AudioTrack, Segment, TextTrack, ThumbnailTrack, Track, VideoTrack

CADENCE = Cadence(frame_rate=Fraction(25), gop=48, segment=144, chunk=288)
POLICY = Policy(
    title='O "Grande" Início',
    default_language="pt-BR",
    cadence=CADENCE,
    frames=600,
    marks=(
        Mark(kind="intro", start=Fraction(2), end=Fraction(26, 3), title="Abertura"),
        Mark(kind="ad-break", start=Fraction(12), end=None, title=""),
    ),
)
VERSION = "v/aversion/"
HLS = VERSION + layout.MULTIVARIANT_PLAYLIST
DASH = VERSION + layout.MPD


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def rung(height: int, bitrate: int, codecs: str) -> VideoTrack:
    """Segments of the bitrate, the second a half more."""
    size = int(bitrate * Fraction(144, 25) / 8)
    return VideoTrack(
        digest=digest(f"{height}p"),
        prefix=f"t/v{height}/",
        codecs=codecs,
        width=height * 16 // 9,
        height=height,
        frame_rate=Fraction(25),
        timescale=12800,
        segments=(
            Segment(duration=73728, size=size),
            Segment(duration=73728, size=size * 3 // 2),
            Segment(duration=73728, size=size),
            Segment(duration=73728, size=size),
            Segment(duration=12288, size=size // 6),
        ),
        iframe_peak=bitrate // 4,
        iframe_average=bitrate // 5,
    )


def sound(language: str, role: str, channels: int) -> AudioTrack:
    size = 64_000 * channels * 576 // 800
    return AudioTrack(
        digest=digest(f"{language} {role} {channels}"),
        prefix=f"t/a{channels}{language.lower()}{role}/",
        codecs="mp4a.40.2",
        language=language,
        role=role,  # type: ignore[arg-type] - a test's own words
        channels=channels,
        sample_rate=48_000,
        timescale=48_000,
        segments=(*[Segment(duration=276480, size=size)] * 4, Segment(duration=46080, size=size // 6)),
    )


def text(language: str, kind: str) -> TextTrack:
    return TextTrack(
        digest=digest(f"{language} {kind}"),
        prefix=f"t/t{language.lower()}{kind}/",
        language=language,
        text_kind=kind,  # type: ignore[arg-type] - a test's own words
        size=1200,
        duration=Fraction(24),
        segments=5,
    )


SPRITES = ThumbnailTrack(
    digest=digest("thumbnails"),
    prefix="t/sprites/",
    tile_width=160,
    tile_height=90,
    columns=10,
    rows=10,
    interval=Fraction(48, 25),
    sprites=1,
    largest=48_000,
)

TRACKS: tuple[Track, ...] = (
    rung(234, 145_000, "avc1.4d400d"),
    rung(540, 1_600_000, "avc1.64001f"),
    rung(1080, 6_000_000, "avc1.640028"),
    sound("en", "dub", 2),
    sound("en", "dub", 6),
    sound("en", "description", 2),
    sound("pt-BR", "original", 2),
    sound("pt-BR", "original", 6),
    sound("ar", "dub", 2),
    text("pt-BR", "sdh"),
    text("en", "subtitles"),
    text("en", "forced"),
    text("ar", "subtitles"),
    SPRITES,
)


@dataclass
class World:
    """Everything that a version has in the store, to be spoiled by tests."""

    texts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def shelf(self) -> Shelf:
        return Shelf(texts=self.texts, sizes=self.sizes)

    def write(self, key: str, body: str) -> None:
        self.texts[key] = body
        self.sizes[key] = len(body.encode())

    def change(self, key: str, old: str, new: str) -> None:
        """Replace every `old`, which must be there."""
        assert old in self.texts[key]
        self.write(key, self.texts[key].replace(old, new))


def world(tracks: Sequence[Track] = TRACKS, policy: Policy = POLICY) -> World:
    """The store of a version of these tracks."""
    made = World()
    for track in tracks:
        _shelve(made, track)
    made.write(HLS, multivariant(tracks, policy))
    made.write(DASH, mpd(tracks, policy))
    return made


def _shelve(made: World, track: Track) -> None:
    match track:
        case VideoTrack() | AudioTrack():
            _shelve_media(made, track)
        case TextTrack():
            lengths = [
                min(CADENCE.segment_seconds, track.duration - n * CADENCE.segment_seconds)
                for n in range(track.segments)
            ]
            names = [layout.segment(n, ".vtt") for n in range(1, track.segments + 1)]
            made.sizes |= {track.prefix + name: 60 for name in names} | {track.prefix + layout.WHOLE_TEXT: track.size}
            playlist = media_playlist(zip(lengths, names, strict=True), CADENCE.target_duration, None)
            made.write(track.prefix + layout.MEDIA_PLAYLIST, playlist)
        case ThumbnailTrack():
            made.sizes[track.prefix + "00001.jpg"] = track.largest
            made.write(
                track.prefix + layout.THUMBNAIL_INDEX,
                "WEBVTT\n\n00:00:00.000 --> 00:00:01.920\n00001.jpg#xywh=0,0,160,90\n",
            )


def _shelve_media(made: World, track: VideoTrack | AudioTrack) -> None:
    names = [layout.segment(n, ".m4s") for n in range(1, len(track.segments) + 1)]
    made.sizes |= {track.prefix + name: s.size for name, s in zip(names, track.segments, strict=True)}
    made.sizes[track.prefix + layout.INIT] = 800
    entries = [(Fraction(s.duration, track.timescale), n) for s, n in zip(track.segments, names, strict=True)]
    playlist = media_playlist(entries, CADENCE.target_duration, layout.INIT)
    made.write(track.prefix + layout.MEDIA_PLAYLIST, playlist)
    if isinstance(track, VideoTrack):
        made.write(track.prefix + layout.IFRAME_PLAYLIST, _iframes(track, entries))


def _iframes(track: VideoTrack, entries: Sequence[tuple[Fraction, str]]) -> str:
    """Three to a whole segment; those of the second take `iframe_peak`, and the others what `iframe_average` leaves."""
    heavy = entries[1][0]
    rest = (track.iframe_average * sum(seconds for seconds, _ in entries) - track.iframe_peak * heavy) / (
        sum(seconds for seconds, _ in entries) - heavy
    )
    key_frames = []
    for number, ((seconds, name), segment) in enumerate(zip(entries, track.segments, strict=True)):
        count = 3 if 2 * seconds > heavy else 1
        rate = track.iframe_peak if number == 1 else rest
        key_frames += [
            KeyFrame(
                uri=name,
                duration=seconds / count,
                start=part * segment.size // count,
                length=int(rate * seconds / count / 8),
            )
            for part in range(count)
        ]
    return iframe_playlist(key_frames, CADENCE.target_duration, layout.INIT)

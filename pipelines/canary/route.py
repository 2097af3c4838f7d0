"""
What a player that wants a language asks for first, read from what an edge gave it; and whether that is the version's.

Pure. A manifest that calls the Spanish sound French is found here; bytes that are not those that were published, in
`viewer`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.lint.dash_view import Representation, dash_view
from pipelines.lint.finding import Shelf, resolved
from pipelines.lint.hls_view import Hls, hls_view
from pipelines.lint.reader import UnreadableError
from pipelines.policy import Policy
from pipelines.release import Ref
from pipelines.track import AudioTrack, Track, VideoTrack
from pipelines.trim import trimmed
from pipelines.version import Item

Protocol = Literal["hls", "dash"]

#: Media segments of each track that are played: a second one shows that the first was no accident of an edge.
SEGMENTS = 2
#: Bits per second of what players begin with.
BEGUN_WITH = 2_000_000


class NotPlayedError(Exception):
    """A player would not have played; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What viewers are to get now."""

    episode: str
    generation: int
    #: BCP 47, in the order of the manifests.
    languages: tuple[str, ...]
    #: By prefix.
    tracks: Mapping[str, Track]
    #: Of every object of those tracks, by key.
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Keys of an init segment and the first media segments, of a picture and of the sound that goes with it."""

    picture: tuple[str, ...]
    sound: tuple[str, ...]


def offered(ref: Ref, tracks: Sequence[Track], policy: Policy, items: Iterable[Item]) -> Offered:
    """What a ref offers: the tracks of its version that are not withdrawn or capped, whose objects are `items`."""
    left, _ = trimmed(tracks, policy, ref.trim)
    sounds = [track.language for track in left if isinstance(track, AudioTrack)]
    return Offered(
        episode=ref.episode,
        generation=ref.generation,
        languages=tuple(dict.fromkeys(sounds)),
        tracks={track.prefix: track for track in left},
        sha256={item.key: item.sha256 for item in items},
    )


def playlists(key: str, text: str, language: str) -> tuple[str, str]:
    """
    Keys of the media playlists that a player begins with, of the picture and of that language's sound.

    Raises `NotPlayedError`.
    """
    view = _hls(key, {key: text})
    if not view.pictures:
        raise NotPlayedError(f"`{key}` offers no picture")
    first = view.pictures[0]
    group = view.groups("AUDIO").get(first.attributes.get("AUDIO", ""), [])
    spoken = [sound for sound in group if sound.attributes.get("LANGUAGE") == language]
    if not spoken:
        raise NotPlayedError(f"`{key}` offers no `{language}`")
    sound = min(spoken, key=lambda one: "CHARACTERISTICS" in one.attributes)
    return resolved(key, first.uri), resolved(key, sound.attributes.get("URI", ""))


def hls_route(key: str, texts: Mapping[str, str], picture: str, sound: str) -> Route:
    """Where those two playlists lead, which are among `texts`. Raises `NotPlayedError`."""
    view = _hls(key, texts)
    return Route(
        picture=view.media[picture].names[: 1 + SEGMENTS],
        sound=view.media[sound].names[: 1 + SEGMENTS],
    )


def dash_route(key: str, text: str, language: str) -> Route:
    """Where the MPD leads a player that wants that language. Raises `NotPlayedError`."""
    try:
        view = dash_view(key, Shelf(texts={key: text}, sizes={}))
    except UnreadableError as error:
        raise NotPlayedError(f"`{key}` is not readable: {error}") from error
    spoken = [sound for sound in view.of("audio") if sound.get("lang") == language]
    if not view.of("video"):
        raise NotPlayedError(f"`{key}` offers no picture")
    if not spoken:
        raise NotPlayedError(f"`{key}` offers no `{language}`")
    picture = min(view.of("video"), key=_distance)
    sound = min(spoken, key=lambda one: bool(one.described("Accessibility")))
    return Route(picture=picture.names[: 1 + SEGMENTS], sound=sound.names[: 1 + SEGMENTS])


def check(route: Route, wanted: Offered, language: str) -> None:
    """Raise `NotPlayedError` unless the route leads to a picture and to that language's sound, and both are offered."""
    for keys, kind in ((route.picture, VideoTrack), (route.sound, AudioTrack)):
        for key in keys:
            if key not in wanted.sha256 or not isinstance(track_of(key, wanted), kind):
                raise NotPlayedError(f"`{key}` is named, which viewers are not to get")
    for key in route.sound:
        sound = track_of(key, wanted)
        if isinstance(sound, AudioTrack) and sound.language != language:
            raise NotPlayedError(f"what is called `{language}` is the `{sound.language}` track, `{sound.prefix}`")


def track_of(key: str, wanted: Offered) -> Track | None:
    """The track that an object belongs to."""
    return wanted.tracks.get(key[: key.rindex("/") + 1])


def length(keys: Sequence[str], wanted: Offered) -> Fraction:
    """Seconds of the media segments among the first `keys` of a track: all but the init segment."""
    track = track_of(keys[0], wanted)
    if not isinstance(track, VideoTrack | AudioTrack):
        return Fraction(0)
    ticks = sum(segment.duration for segment in track.segments[: len(keys) - 1])
    return Fraction(ticks, track.timescale)


def _hls(key: str, texts: Mapping[str, str]) -> Hls:
    view, faults = hls_view(key, Shelf(texts=texts, sizes={}))
    if faults:
        where, sentence = faults[0]
        raise NotPlayedError(f"`{where}` is not readable: {sentence.rstrip('.')}")
    return view


def _distance(picture: Representation) -> int:
    """How far a rung is from what players begin with."""
    bandwidth = picture.get("bandwidth")
    return abs(int(bandwidth) - BEGUN_WITH) if bandwidth.isdecimal() else BEGUN_WITH

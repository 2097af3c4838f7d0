"""
What is warmed first: every object of a version in six tiers, by how likely the first minutes ask for it and what a miss
costs, for its bytes.

    T0  what every session starts with: manifests, playlists, init segments, the text of likely languages
    T1  the beginning of the likeliest rungs, in likely languages
    T2  the beginning of the other languages, their text, and the first sprite
    T3  the rest of what T1 began, in the order of time
    T4  the top and the bottom rungs: what few screens and bad connections ask for
    T5  the rest: other languages' later minutes, later sprites, and what only apps read

An edge's quota may end anywhere in this order: what comes first is what a cold cache would hurt most.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Literal

import langcodes

from pipelines import layout
from pipelines.track import AudioTrack, TextTrack, ThumbnailTrack, Track, VideoTrack
from pipelines.version import Item

Tier = Literal[0, 1, 2, 3, 4, 5]

#: Seconds of the programme that most viewers of the first minutes ask for.
BEGINNING = 180
#: Rungs that take nearly all viewers between them: what players start with, climb to, and stay at.
LIKELY_RUNGS = 3
#: Share of viewing by frame height, over the usual mix of phones, computers and television sets. Players begin near
#: 2 Mb/s (540p), most stay at 720p or 1080p; 2160p needs a set and a line that few have, 240p a very bad one.
RUNG_SHARE = ((240, 0.03), (360, 0.10), (540, 0.22), (720, 0.25), (1080, 0.35), (10_000, 0.05))
#: Share of viewers who hear a language: that of the edge's country (its dub, where there is one), the version's default
#: (the original, or what apps are told to pick), and any other.
LOCAL, DEFAULT, OTHER = 0.65, 0.30, 0.03
#: What a miss costs beyond its bytes, in bytes: the round trip to the origin, in which a viewer waits.
ROUND_TRIP = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An object, and how early it is wanted."""

    item: Item
    tier: Tier
    #: Second of the programme at which it begins; 0 for what has none.
    start: Fraction
    #: P(request in the first minutes) × cost of a miss, for each of its bytes.
    worth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who watches through an edge."""

    #: ISO 3166-1.
    region: str | None
    #: BCP 47: what players pick unless the viewer chose.
    default_language: str

    def share(self, language: str) -> float:
        """How many viewers hear or read it."""
        spoken = langcodes.get(language).language
        if self.region and spoken == langcodes.get(f"und-{self.region}").maximize().language:
            return LOCAL
        return DEFAULT if spoken == langcodes.get(self.default_language).language else OTHER

    def likely(self, language: str) -> bool:
        return self.share(language) >= DEFAULT


def rank(items: Iterable[Item], tracks: Sequence[Track], audience: Audience) -> list[Ranked]:
    """Every object once, in the order in which it is to be warmed. Pure; the same whatever the order of `items`."""
    media = {key: place for track in tracks for key, place in _places(track, tracks, audience)}
    manifest = _Place(tier=0, start=Fraction(0), wanted=1.0)
    last = _Place(tier=5, start=Fraction(0), wanted=0.01)

    def ranked(item: Item) -> Ranked:
        place = media.get(item.key, manifest if item.key.startswith("v/") else last)
        worth = place.wanted * (ROUND_TRIP + item.size) / max(1, item.size)
        return Ranked(item=item, tier=place.tier, start=place.start, worth=worth)

    each = [ranked(item) for item in {item.key: item for item in items}.values()]
    return sorted(
        each, key=lambda one: (one.tier, one.start, not one.item.key.startswith("v/"), -one.worth, one.item.key)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    tier: Tier
    start: Fraction
    #: P(request in the first minutes).
    wanted: float


def _places(track: Track, tracks: Sequence[Track], audience: Audience) -> Iterator[tuple[str, _Place]]:
    """The key of every object that the track has, with its place."""
    match track:
        case VideoTrack():
            yield from _media(track, _rung_share(track.height), likely=track in _likely_rungs(tracks), other=4)
        case AudioTrack():
            likely = audience.likely(track.language) and track.role in ("original", "dub")
            likely = likely or track.role == "original"
            yield from _media(track, audience.share(track.language), likely=likely, other=2)
        case TextTrack():
            yield from _text(track, audience)
        case ThumbnailTrack():
            yield from _sprites(track)


def _media(track: VideoTrack | AudioTrack, share: float, *, likely: bool, other: Tier) -> Iterator[tuple[str, _Place]]:
    for name in (layout.MEDIA_PLAYLIST, layout.IFRAME_PLAYLIST, layout.INIT):
        yield track.prefix + name, _Place(tier=0, start=Fraction(0), wanted=1.0)
    ticks = accumulate((segment.duration for segment in track.segments), initial=0)
    for number, tick in enumerate(list(ticks)[:-1], 1):
        start = Fraction(tick, track.timescale)
        beginning = start < BEGINNING
        later: Tier = 4 if other == 4 else 5  # noqa: PLR2004 - the tier of rungs that few watch
        tier: Tier = (1 if beginning else 3) if likely else (other if beginning else later)
        wanted = share * (1.0 if beginning else float(BEGINNING / start))
        yield track.prefix + layout.segment(number, ".m4s"), _Place(tier=tier, start=start, wanted=wanted)


def _text(track: TextTrack, audience: Audience) -> Iterator[tuple[str, _Place]]:
    share = audience.share(track.language)
    tier: Tier = 0 if audience.likely(track.language) else 2
    yield track.prefix + layout.MEDIA_PLAYLIST, _Place(tier=0, start=Fraction(0), wanted=share)
    yield track.prefix + layout.WHOLE_TEXT, _Place(tier=tier, start=Fraction(0), wanted=share)
    for number in range(1, track.segments + 1):
        # Small and many: ordered by time through their number.
        start = track.duration * (number - 1) / track.segments
        place: Tier = tier if start < BEGINNING or not tier else 5
        yield track.prefix + layout.segment(number, ".vtt"), _Place(tier=place, start=start, wanted=share)


def _sprites(track: ThumbnailTrack) -> Iterator[tuple[str, _Place]]:
    yield track.prefix + layout.THUMBNAIL_INDEX, _Place(tier=2, start=Fraction(0), wanted=0.2)
    for number in range(1, track.sprites + 1):
        start = (number - 1) * track.columns * track.rows * track.interval
        tier: Tier = 2 if number == 1 else 5
        yield track.prefix + layout.segment(number, ".jpg"), _Place(tier=tier, start=start, wanted=0.1)


def _rung_share(height: int) -> float:
    return next(share for most, share in RUNG_SHARE if height <= most)


def _likely_rungs(tracks: Sequence[Track]) -> list[VideoTrack]:
    """The rungs with the largest shares; of two with the same, the lower, which more connections bear."""
    rungs = [track for track in tracks if isinstance(track, VideoTrack)]
    return sorted(rungs, key=lambda rung: (-_rung_share(rung.height), rung.height, rung.digest))[:LIKELY_RUNGS]


def by_tier(ranked: Iterable[Ranked]) -> Mapping[Tier, list[Ranked]]:
    """The objects of each tier that has any, in order."""
    tiers: dict[Tier, list[Ranked]] = {}
    for one in ranked:
        tiers.setdefault(one.tier, []).append(one)
    return tiers

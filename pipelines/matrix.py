"""
Which tracks a release waits for, and which may follow it: MUST, SHOULD (within two hours), LATER (within a day).

A delivery says it in the words that tracks are called by: `audio fr`, `video 1080p`, `text * sdh`. HLS and DASH name
the same tracks and are made together, so that neither waits for the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, get_args

from pipelines.delivery import Fallback, ReleaseTime
from pipelines.errors import DeliveryError

Urgency = Literal["must", "should", "later"]
#: The most urgent first.
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrack:
    """One track of the fullest version, for people and for readiness."""

    digest: str
    medium: Literal["video", "audio", "text", "thumbnails"]
    #: `540p`, `fr dub stereo`, `en sdh`, `thumbnails`.
    label: str
    #: BCP 47; empty for what is in no language.
    language: str = ""
    urgency: Urgency = "must"
    #: Estimated bytes.
    size: int

    @property
    def name(self) -> str:
        """What selectors are compared with: `audio fr dub stereo`."""
        return self.label if self.medium == "thumbnails" else f"{self.medium} {self.label}"


def urgency_of(urgencies: Iterable[Urgency]) -> Urgency:
    """The most urgent of them; LATER of none."""
    return min(urgencies, key=URGENCIES.index, default="later")


def matched(selector: str, track: PlannedTrack) -> bool:
    """
    Whether `selector` means `track`: word by word, `*` for any, and words that are left out mean any too.

    `language fr` is a language version: its audio in all roles and layouts, and its forced narrative.
    """
    first, *rest = selector.split()
    if first == "language":
        return any(matched(other, track) for other in (f"audio {rest[0]}", f"text {rest[0]} forced"))
    words = track.name.lower().split()
    wanted = [first, *(word.lower() for word in rest)]
    return len(wanted) <= len(words) and all(map(fnmatchcase, words, wanted))


def classed(tracks: Sequence[PlannedTrack], release: ReleaseTime | None, original: str) -> tuple[PlannedTrack, ...]:
    """
    The tracks with the urgency that the delivery gives them; what it doesn't say stays as it is.

    Raises `DeliveryError` when it names nothing of the episode, or when too little is left to be released.
    """
    if release:
        for selector in (*release.must, *release.should, *release.later):
            _check_meaning(selector, tracks)
        for fallback in release.fallback:
            for selector in fallback.drop:
                _check_meaning(selector, tracks)
        tracks = [replace(track, urgency=_said(track, release)) for track in tracks]
        for fallback in release.fallback:
            check_enough(dropped(tracks, fallback), original, f"The fallback `{fallback.name}`")
    check_enough(tracks, original, "The release's matrix")
    return tuple(tracks)


def dropped(tracks: Sequence[PlannedTrack], fallback: Fallback) -> tuple[PlannedTrack, ...]:
    """The tracks once a release no longer waits for what `fallback` names: that follows as SHOULD."""
    return tuple(
        replace(track, urgency="should")
        if track.urgency == "must" and any(matched(selector, track) for selector in fallback.drop)
        else track
        for track in tracks
    )


def check_enough(tracks: Sequence[PlannedTrack], original: str, who: str) -> None:
    """Raise `DeliveryError` unless what a release waits for can be watched: a rung, and the original's sound."""
    must = [track for track in tracks if track.urgency == "must"]
    lacks = [] if any(track.medium == "video" for track in must) else ["no rung"]
    if not any(track.medium == "audio" and track.language == original for track in must):
        lacks.append(f"no `{original}` audio, the original's")
    if lacks:
        raise DeliveryError(
            f"{who} leaves {' and '.join(lacks)} as MUST.", hint="Leave one rung and the original MUST."
        )


def _said(track: PlannedTrack, release: ReleaseTime) -> Urgency:
    for urgency in URGENCIES:
        if any(matched(selector, track) for selector in getattr(release, urgency)):
            return urgency
    return track.urgency


def _check_meaning(selector: str, tracks: Sequence[PlannedTrack]) -> None:
    if not any(matched(selector, track) for track in tracks):
        known = ", ".join(f"`{track.name}`" for track in tracks)
        raise DeliveryError(f"`{selector}` in the release names no track of this episode.", hint=f"It has {known}.")

"""
What of a version new sessions are offered: on a bad night, less than all of it.

A trim is other entry points over the same tracks. Nothing is made, moved or deleted for it, nothing that is warm goes
cold, and a session that is playing keeps whatever it was told about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pipelines import rates
from pipelines.errors import ReleaseError
from pipelines.policy import Policy
from pipelines.track import AudioTrack, TextTrack, Track, VideoTrack, measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """What is left out of the entry points."""

    #: Language versions that are withdrawn: their audio in all roles, and their forced narrative. BCP 47.
    withdrawn: tuple[str, ...] = ()
    #: No rung above either, in pixels and in bits per second of the rung's peak; the lowest rung always stays.
    max_height: int | None = None
    max_bitrate: int | None = None


WHOLE = Trim()


def trimmed(tracks: Sequence[Track], policy: Policy, trim: Trim) -> tuple[tuple[Track, ...], Policy]:
    """What is left of a version. Raises `ReleaseError` when no sound would be."""
    rungs = [track for track in tracks if isinstance(track, VideoTrack)]
    peaks = {track.digest: rates.peak(measured(track), policy.cadence.target_duration) for track in rungs}
    lowest = min(peaks, key=lambda digest: peaks[digest], default=None)
    left = tuple(track for track in tracks if track.digest == lowest or not _left_out(track, trim, peaks))
    languages = [track.language for track in left if isinstance(track, AudioTrack)]
    if not languages:
        raise ReleaseError(
            f"Without {', '.join(f'`{tag}`' for tag in trim.withdrawn)} no sound is left.",
            hint="Leave one language, or roll back to another version.",
        )
    default = policy.default_language if policy.default_language in languages else languages[0]
    return left, replace(policy, default_language=default)


def frame_height(track: VideoTrack) -> Fraction:
    """The height of the 16:9 frame that the picture fills in one direction: what its rung is called by."""
    return framed(track.width, track.height)


def framed(width: int, height: int) -> Fraction:
    """The same of a picture of so many pixels."""
    short, long = sorted((width, height))
    return max(Fraction(short), Fraction(long * 9, 16))


def _left_out(track: Track, trim: Trim, peaks: Mapping[str, int]) -> bool:
    match track:
        case AudioTrack():
            return track.language in trim.withdrawn
        case TextTrack():
            return track.text_kind == "forced" and track.language in trim.withdrawn
        case VideoTrack():
            too_high = trim.max_height is not None and frame_height(track) > trim.max_height
            return too_high or (trim.max_bitrate is not None and peaks[track.digest] > trim.max_bitrate)
        case _:
            return False

"""What new sessions are offered when languages are withdrawn or the ladder is capped."""

from dataclasses import replace
from fractions import Fraction

import pytest

from pipelines.errors import ReleaseError
from pipelines.release import entry_points
from pipelines.track import AudioTrack, Segment, TextTrack, Track, VideoTrack
from pipelines.trim import Trim, frame_height, trimmed
from tests.fakes.releases import NAMES, TRACKS, policy, released

LOW, FRENCH, _ = TRACKS
assert isinstance(LOW, VideoTrack)
assert isinstance(FRENCH, AudioTrack)
HIGH = replace(
    LOW,
    digest="04" * 32,
    width=1920,
    height=804,
    segments=tuple(Segment(duration=each.duration, size=9 * each.size) for each in LOW.segments),
)
ENGLISH = replace(FRENCH, digest="05" * 32, language="en", role="dub")
FORCED = TextTrack(
    digest="06" * 32, prefix="t/x/", language="fr", text_kind="forced", size=9, duration=Fraction(6), segments=1
)
SUBTITLES = replace(FORCED, digest="07" * 32, text_kind="subtitles")
ALL: tuple[Track, ...] = (LOW, HIGH, FRENCH, ENGLISH, FORCED, SUBTITLES)


def left(trim: Trim) -> tuple[Track, ...]:
    return trimmed(ALL, policy(), trim)[0]


def test_nothing_is_left_out_by_default() -> None:
    assert trimmed(ALL, policy(), Trim()) == (ALL, policy())


def test_a_withdrawn_language_takes_its_sound_and_its_forced_narrative() -> None:
    """Its subtitles stay: they are how its viewers go on. Another language is the default then."""
    tracks, said = trimmed(ALL, policy(), Trim(withdrawn=("fr",)))
    assert tracks == (LOW, HIGH, ENGLISH, SUBTITLES)
    assert said == replace(policy(), default_language="en")


def test_without_any_sound_there_is_nothing_to_offer() -> None:
    with pytest.raises(ReleaseError, match="no sound is left"):
        trimmed(ALL, policy(), Trim(withdrawn=("fr", "en")))


def test_a_cap_counts_rungs_by_their_frame() -> None:
    """CinemaScope of 804 lines is the 1080p rung, and is called so."""
    assert frame_height(HIGH) == 1080
    assert left(Trim(max_height=1080)) == ALL
    assert left(Trim(max_height=720)) == (LOW, FRENCH, ENGLISH, FORCED, SUBTITLES)
    assert left(Trim(max_bitrate=900_000)) == (LOW, FRENCH, ENGLISH, FORCED, SUBTITLES)


def test_the_lowest_rung_always_stays() -> None:
    """Whoever caps below everything still wants viewers to see something."""
    assert left(Trim(max_height=1, max_bitrate=1)) == (LOW, FRENCH, ENGLISH, FORCED, SUBTITLES)


def test_entry_points_name_only_what_is_left() -> None:
    """In HLS, in DASH, and for apps."""
    ref = replace(released(3), trim=Trim(withdrawn=("fr",), max_height=720))
    bodies = entry_points(ref, ALL, policy(), NAMES)
    for file in ("main.m3u8", "main.mpd"):
        body = bodies[file].decode()
        assert "804" not in body
        assert 'LANGUAGE="fr",NAME="français",DEFAULT=YES' not in body
    assert b'"audio":["en"]' in bodies["release.json"]

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.cadence import AAC_FRAME, LONG, cadence, chunks, segments
from presets.packaging import Packaging

RATES = [
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
]


@pytest.mark.parametrize(
    ("rate", "gop", "segment"),
    [
        (Fraction(25), 48, 144),
        (Fraction(24), 48, 144),
        (Fraction(24000, 1001), 48, 144),
        (Fraction(30000, 1001), 60, 180),
        (Fraction(50), 96, 288),
        (Fraction(60000, 1001), 120, 360),
        (Fraction(30), 60, 180),
        (Fraction(60), 120, 360),
    ],
)
def test_the_default_wishes_become_whole_frames(rate: Fraction, gop: int, segment: int) -> None:
    """Two seconds and three GOPs, or the nearest that is whole frames and, where possible, whole AAC frames."""
    found = cadence(rate, 48_000, Packaging())
    assert (found.gop, found.segment, found.chunk) == (gop, segment, segment * 10)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(50)])
def test_at_25_and_50_sound_and_picture_are_cut_at_the_same_instant(rate: Fraction) -> None:
    """A segment is a whole number of AAC frames, so nothing is rounded at any cut."""
    assert (cadence(rate, 48_000, Packaging()).segment_seconds * 48_000 / AAC_FRAME).denominator == 1


@pytest.mark.parametrize("rate", RATES)
def test_the_authoring_rules_hold_at_every_rate(rate: Fraction) -> None:
    """A key frame at least every 2 s and one frame; no segment longer than the target duration by half a second."""
    found = cadence(rate, 48_000, Packaging())
    assert found.gop_seconds <= 2 + 1 / rate
    assert found.target_duration == 6
    assert found.segment_seconds < found.target_duration + Fraction(1, 2)


@settings(deadline=None)  # there may be many thousands
@given(
    rate=st.sampled_from(RATES),
    gop_seconds=st.floats(0.01, 2),
    frames=st.integers(1, 500_000),
    segment_gops=st.integers(1, 10),
)
def test_every_frame_is_in_one_chunk(rate: Fraction, gop_seconds: float, frames: int, segment_gops: int) -> None:
    """Chunks follow each other without gap or overlap, and all but the last are whole segments."""
    packaging = Packaging(gop_seconds=gop_seconds, segment_gops=segment_gops)
    found = cadence(rate, 48_000, packaging)
    cut = chunks(frames, found)
    place = 0
    for first, length in cut:
        assert first == place
        place += length
    assert place == frames
    assert all(length % found.segment == 0 for _, length in cut[:-1])
    assert all(length == found.chunk for first, length in cut[:-1] if first + found.chunk <= frames * LONG)
    assert segments(frames, found) == sum(-(-length // found.segment) for _, length in cut)


def test_chunks_near_the_end_are_short() -> None:
    """Three fifths by the minute, the rest by 12 s; a programme whose chunks are short anyway is cut evenly."""
    cut = chunks(45 * 60 * 25, cadence(Fraction(25), 48_000, Packaging()))
    lengths = [round(length / 25) for _, length in cut]
    assert lengths == sorted(lengths, reverse=True)
    assert (lengths.count(58), lengths.count(12), len(lengths)) == (28, 94, 123)
    even = chunks(1000, cadence(Fraction(25), 48_000, Packaging(gop_seconds=1, segment_gops=1, chunk_segments=2)))
    assert {length for _, length in even[:-1]} == {50}

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.rhythm import STANDARD, rhythm

MILLISECOND = Fraction(1, 1000)


@pytest.mark.parametrize("rate", STANDARD)
@pytest.mark.parametrize("time_base", [MILLISECOND, Fraction(1, 90_000), Fraction(1, 12_800)])
@pytest.mark.parametrize("frames", [50, 5_000])
def test_a_standard_rate_is_found_exactly(rate: Fraction, time_base: Fraction, frames: int) -> None:
    """24000/1001 is not 24, nor 23.976, however coarsely the container counts and whatever it claims."""
    ticks = [round(n / rate / time_base) for n in range(frames)]
    found = rhythm(ticks, time_base, said=[rate.limit_denominator(100)])
    assert found.frame_rate == rate
    assert found.constant


def test_an_unusual_rate_is_believed_when_its_frames_keep_it() -> None:
    """What a container says counts where no standard rate explains the times."""
    said = Fraction(45, 2)
    found = rhythm([round(n / said / MILLISECOND) for n in range(200)], MILLISECOND, said=[said])
    assert (found.frame_rate, found.constant) == (said, True)


@given(jitter=st.lists(st.floats(-0.2, 0.2), min_size=50, max_size=100))
def test_jitter_below_half_a_frame_is_tolerated(jitter: list[float]) -> None:
    """Frames may come a little early or late, as capture cards write them."""
    ticks = [round((n + late) * 3600) for n, late in enumerate(jitter)]
    assert rhythm(ticks, Fraction(1, 90_000), said=[Fraction(25)]).constant


def test_a_missing_frame_breaks_the_rhythm() -> None:
    """From the gap on, every frame is one late."""
    found = rhythm([n * 40 for n in range(100) if n != 37], MILLISECOND, said=[Fraction(25)])
    assert not found.constant


def test_two_rates_in_one_file_are_no_rhythm() -> None:
    """The mean of 25 and 30 is nobody's frame rate."""
    ticks = [n * 3600 for n in range(100)] + [360_000 + n * 3000 for n in range(100)]
    assert not rhythm(ticks, Fraction(1, 90_000), said=[]).constant

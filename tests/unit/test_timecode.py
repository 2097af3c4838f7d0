from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DeliveryError
from pipelines.timecode import frame_number, time_code

NTSC = Fraction(30000, 1001)
NTSC_60 = Fraction(60000, 1001)
FILM = Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("code", "rate", "frame"),
    [
        ("00:00:00:00", Fraction(25), 0),
        ("00:00:01:00", Fraction(25), 25),
        ("10:00:00:00", Fraction(25), 900_000),
        ("00:00:59:49", Fraction(50), 2999),
        ("01:00:00:00", FILM, 86_400),
        ("00:00:10:23", FILM, 263),
        # SMPTE ST 12-1, 5.2.2: numbers 0 and 1 are left out at each minute but every tenth.
        ("00:00:59;29", NTSC, 1799),
        ("00:01:00;02", NTSC, 1800),
        ("00:01:59;29", NTSC, 3597),
        ("00:02:00;02", NTSC, 3598),
        ("00:09:59;29", NTSC, 17_981),
        ("00:10:00;00", NTSC, 17_982),
        ("00:10:00;01", NTSC, 17_983),
        ("01:00:00;00", NTSC, 107_892),
        ("10:00:00;00", NTSC, 1_078_920),
        # At 59.94, numbers 0 to 3.
        ("00:00:59;59", NTSC_60, 3599),
        ("00:01:00;04", NTSC_60, 3600),
        ("00:10:00;00", NTSC_60, 35_964),
        # Without dropping, the same rate counts every number.
        ("00:01:00:00", NTSC, 1800),
        # Milliseconds are real time, not a count.
        ("00:00:02.500", Fraction(25), 62),
        ("00:00:10,000", NTSC, 300),
    ],
)
def test_a_time_code_names_one_frame(code: str, rate: Fraction, frame: int) -> None:
    """Frames are counted from 00:00:00:00, as the standard's own table has them."""
    assert frame_number(code, rate) == frame


@pytest.mark.parametrize(
    ("code", "rate", "sentence"),
    [
        ("00:00:00:25", Fraction(25), "Time code `00:00:00:25` has frame 25, but a second has 25."),
        ("00:01:00;00", NTSC, "Time code `00:01:00;00` is one that is dropped."),
        ("00:01:00;01", NTSC, "Time code `00:01:00;01` is one that is dropped."),
        ("00:01:00;03", NTSC_60, "Time code `00:01:00;03` is one that is dropped."),
        ("00:01:00;02", Fraction(25), "Time code `00:01:00;02` drops frames, which only 29.97 and 59.94 fps do."),
        ("00:01:00;02", FILM, "Time code `00:01:00;02` drops frames, which only 29.97 and 59.94 fps do."),
        ("noon", Fraction(25), "`noon` is not a time code."),
    ],
)
def test_a_frame_that_does_not_exist_is_refused(code: str, rate: Fraction, sentence: str) -> None:
    """Nobody guesses what was meant."""
    with pytest.raises(DeliveryError) as refused:
        frame_number(code, rate)
    assert refused.value.message == sentence


@given(frame=st.integers(0, 24 * 107_892 - 1), rate=st.sampled_from([NTSC, NTSC_60]))
def test_dropped_codes_go_there_and_back(frame: int, rate: Fraction) -> None:
    """Every frame of a day has one dropping time code, and that code names it."""
    assert frame_number(time_code(frame, rate, dropping=True), rate) == frame


@given(frame=st.integers(0, 24 * 90_000 - 1), rate=st.sampled_from([FILM, Fraction(25), Fraction(50), NTSC]))
def test_whole_codes_go_there_and_back(frame: int, rate: Fraction) -> None:
    """Every frame of a day has one time code, and that code names it."""
    assert frame_number(time_code(frame, rate), rate) == frame

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ladder import fit
from pipelines.probe import Picture
from pipelines.source import Source
from presets.ladder import Rung

HD = Picture(
    source=Source(uri="/m.mov", size=1, sha256="ab" * 32),
    demuxer="mov",
    stream=0,
    codec="h264",
    width=1920,
    height=1080,
    sample_aspect=Fraction(1),
    rotation=0,
    frame_rate=Fraction(25),
    frames=100,
    start_frame=0,
)


def rung(height: int, bitrate: int = 1_000_000) -> Rung:
    return Rung(height=height, bitrate=bitrate, maxrate=2 * bitrate, bufsize=3 * bitrate, crf=23)


LADDER = (rung(1080), rung(234), rung(540), rung(720))


def sizes(picture: Picture) -> list[tuple[int, int]]:
    return [(fitted.width, fitted.height) for fitted in fit(LADDER, picture)]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (HD, [(416, 234), (960, 540), (1280, 720), (1920, 1080)]),
        # Never upscaled: what is above the picture is left out.
        (replace(HD, width=1280, height=720), [(416, 234), (960, 540), (1280, 720)]),
        (replace(HD, width=1278, height=718), [(416, 234), (960, 540)]),
        # Lower than every rung: the lowest, at the picture's own size, made even.
        (replace(HD, width=161, height=91), [(160, 90)]),
        # PAL widescreen: 720×576 with 64:45 pixels is 1024×576 in square ones.
        (replace(HD, width=720, height=576, sample_aspect=Fraction(64, 45)), [(416, 234), (960, 540)]),
        # PAL 4:3, whose pixels are 16:15.
        (replace(HD, width=720, height=576, sample_aspect=Fraction(16, 15)), [(312, 234), (720, 540)]),
        # A telephone held upright: 1080 wide and 1920 high when shown.
        (replace(HD, rotation=90), [(234, 416), (540, 960), (720, 1280), (1080, 1920)]),
        (replace(HD, rotation=270), [(234, 416), (540, 960), (720, 1280), (1080, 1920)]),
        (replace(HD, rotation=180), [(416, 234), (960, 540), (1280, 720), (1920, 1080)]),
        # CinemaScope keeps every rung's width.
        (replace(HD, width=1920, height=804), [(416, 174), (960, 402), (1280, 536), (1920, 804)]),
    ],
)
def test_the_ladder_fits_the_picture(picture: Picture, expected: list[tuple[int, int]]) -> None:
    """Lowest first; even sizes in square pixels, upright, in the picture's own shape."""
    assert sizes(picture) == expected


@given(
    width=st.integers(16, 8192),
    height=st.integers(16, 4320),
    aspect=st.sampled_from([Fraction(1), Fraction(16, 15), Fraction(64, 45), Fraction(8, 9)]),
    rotation=st.sampled_from([0, 90, 180, 270]),
)
def test_no_picture_is_ever_scaled_up(width: int, height: int, aspect: Fraction, rotation: int) -> None:
    """Whatever the picture, each rung is even and no larger than it; its shape is kept to within a pixel or two."""
    shown = (width * aspect, Fraction(height))
    most_wide, most_high = reversed(shown) if rotation % 180 else shown
    picture = replace(HD, width=width, height=height, sample_aspect=aspect, rotation=rotation)
    for wide, high in sizes(picture):
        assert wide % 2 == high % 2 == 0
        assert wide <= max(2, most_wide)
        assert high <= most_high
        assert abs(wide - most_wide * high / most_high) <= 2 * (1 + most_wide / most_high)


def test_two_rungs_of_one_height_both_fit() -> None:
    """A ladder may offer two bitrates at one size: the lower comes first."""
    both = fit((rung(432, 1_100_000), rung(432, 730_000)), HD)
    assert [fitted.rung.bitrate for fitted in both] == [730_000, 1_100_000]

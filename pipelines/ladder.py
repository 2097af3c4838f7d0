"""A preset's rungs fitted to one picture: never upscaled, square pixels, even sizes, turned upright."""

from dataclasses import dataclass
from fractions import Fraction

from pipelines.probe import Picture
from presets.ladder import Rung

#: Width of a frame over its height, for which ladders are written.
WIDE = Fraction(16, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A rung and the size that it has for this picture, in pixels."""

    rung: Rung
    width: int
    height: int
    #: `540p`: the rung's own name, whatever the picture's shape.
    label: str


def fit(rungs: tuple[Rung, ...], picture: Picture) -> tuple[Fitted, ...]:
    """
    The rungs that the picture is large enough for, lowest first.

    A rung is the 16:9 frame of its height, upright for an upright picture, and the picture fills it in one direction:
    CinemaScope keeps the width. A picture smaller than every rung gets the lowest at its own size.
    """
    width, height = _shown(picture)
    ladder = sorted(rungs, key=lambda rung: (rung.height, rung.bitrate))
    fitted = tuple(
        Fitted(
            rung=rung, width=_even(width * scale, width), height=_even(height * scale, height), label=f"{rung.height}p"
        )
        for rung in ladder
        if (scale := _scale(rung, width, height)) <= 1
    )
    own = Fitted(rung=ladder[0], width=_even(width, width), height=_even(height, height), label=f"{round(height)}p")
    return fitted or (own,)


def _scale(rung: Rung, width: Fraction, height: Fraction) -> Fraction:
    """What the picture is multiplied by to fit the rung's frame."""
    return min(rung.height * WIDE / max(width, height), rung.height / min(width, height))


def _shown(picture: Picture) -> tuple[Fraction, Fraction]:
    """Width and height as a viewer sees them, in square pixels; the number of lines is kept."""
    width, height = picture.width * picture.sample_aspect, Fraction(picture.height)
    return (height, width) if picture.rotation % 180 else (width, height)


def _even(length: Fraction, most: Fraction) -> int:
    """The nearest even number that is not above `most`, at least 2: 4:2:0 halves both directions."""
    return max(2, min(2 * round(length / 2), 2 * int(most // 2)))

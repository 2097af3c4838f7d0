"""A preset's rungs fitted to one picture: never upscaled, square pixels, even sizes, turned upright."""

from dataclasses import dataclass
from fractions import Fraction

from pipelines.probe import Picture
from presets.ladder import Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A rung and the size that it has for this picture, in pixels."""

    rung: Rung
    width: int
    height: int

    @property
    def label(self) -> str:
        return f"{self.height}p"


def fit(rungs: tuple[Rung, ...], picture: Picture) -> tuple[Fitted, ...]:
    """
    The rungs that the picture is tall enough for, lowest first.

    A picture lower than every rung gets the lowest rung at its own size.
    """
    width, height = _shown(picture)
    fitting = [rung for rung in rungs if rung.height <= height]
    if fitting:
        return tuple(
            Fitted(rung=rung, width=_even(width * rung.height / height), height=rung.height)
            for rung in sorted(fitting, key=lambda rung: (rung.height, rung.bitrate))
        )
    lowest = min(rungs, key=lambda rung: (rung.height, rung.bitrate))
    return (Fitted(rung=lowest, width=_even(width), height=_even(height)),)


def _shown(picture: Picture) -> tuple[Fraction, Fraction]:
    """Width and height as a viewer sees them, in square pixels; the number of lines is kept."""
    width, height = picture.width * picture.sample_aspect, Fraction(picture.height)
    return (height, width) if picture.rotation % 180 else (width, height)


def _even(length: Fraction) -> int:
    """The nearest even number, at least 2: 4:2:0 halves both directions."""
    return max(2, 2 * round(length / 2))

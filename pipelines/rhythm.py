"""
The one frame rate of a picture, found in the times of its frames; or that there is none.

Containers round: Matroska to a millisecond, others to ticks. What counts is that each frame is nearer to its own place
in a constant rhythm than to the next one's: then seeking half a frame early finds it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

#: Frames per second that programmes are made in.
STANDARD = (
    *(Fraction(rate) for rate in (20, 24, 25, 30, 48, 50, 60)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60)),
)
#: Two rates that explain the times within this much of each other (seconds) explain them equally well.
TENTH_OF_A_MILLISECOND = Fraction(1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The rate that fits best, and the frame that fits worst."""

    frame_rate: Fraction
    #: Of that frame, counted from nothing.
    worst: int
    #: Seconds that it comes late; negative when it comes early.
    late: Fraction

    @property
    def constant(self) -> bool:
        """Whether every frame is nearer to its own place than to another's."""
        return abs(self.late) * self.frame_rate < Fraction(1, 2)


def rhythm(ticks: Sequence[int], time_base: Fraction, said: Iterable[Fraction]) -> Rhythm:
    """
    The rhythm of frames shown at `ticks` (ascending, of `time_base` seconds each), at least two.

    `said` are rates that the container claims. Standard ones go before them where both explain the times.
    """
    mean = (len(ticks) - 1) / ((ticks[-1] - ticks[0]) * time_base) if ticks[-1] > ticks[0] else Fraction(1)
    near = [rate for rate in (*STANDARD, *said) if abs(rate / mean - 1) < Fraction(1, 100)] or [mean]
    return min(
        (_fitted(ticks, time_base, rate) for rate in near),
        key=lambda fitted: abs(fitted.late) // TENTH_OF_A_MILLISECOND,
    )


def _fitted(ticks: Sequence[int], time_base: Fraction, rate: Fraction) -> Rhythm:
    # In whole numbers: a film has 200,000 frames.
    step = 1 / (rate * time_base)
    late = [(tick - ticks[0]) * step.denominator - place * step.numerator for place, tick in enumerate(ticks)]
    worst = max(range(len(late)), key=lambda place: abs(late[place]))
    return Rhythm(frame_rate=rate, worst=worst, late=Fraction(late[worst], step.denominator) * time_base)

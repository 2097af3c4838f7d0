"""How many bits a second a track takes, as RFC 8216 counts it: what manifests promise and lint measures."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

#: Seconds and bytes of what is fetched at once: a media segment, a key frame.
Piece = tuple[Fraction, int]


def average(of: Sequence[Piece]) -> int:
    """Bits per second over the whole (RFC 8216, 4.1)."""
    return ceil(8 * sum(size for _, size in of) / sum((seconds for seconds, _ in of), Fraction(0)))


def peak(of: Sequence[Piece], target: int) -> int:
    """
    The highest bits per second of any contiguous set of segments that lasts 0.5 to 1.5 times the target duration.

    RFC 8216, 4.1: a last segment of three frames, one of them an I-frame, is no peak by itself.
    """
    longest, shortest = Fraction(3 * target, 2), Fraction(target, 2)
    highest = Fraction(0)
    for first in range(len(of)):
        seconds, size = Fraction(0), 0
        for duration, more in of[first:]:
            seconds, size = seconds + duration, size + more
            if seconds > longest:
                break
            if seconds >= shortest:
                highest = max(highest, 8 * size / seconds)
    # A programme shorter than half a segment has no such set; a short and heavy end may be in none.
    return max(ceil(highest), average(of))

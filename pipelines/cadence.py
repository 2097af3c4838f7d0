"""
Frames, groups of pictures, segments and chunks: counted in frames, so that nothing drifts.

Segments of every track are cut at the same instants. Video cuts at frames; AAC can cut only every 1,024 samples.
Where the two meet often (25 and 50 fps: every 0.32 s) the group of pictures is made a multiple of that, and the cuts
are exact; elsewhere audio is cut at the nearest AAC frame.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd

from presets.packaging import Packaging

AAC_FRAME = 1024  # samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How one programme is cut. All counts are of frames."""

    frame_rate: Fraction
    gop: int
    segment: int
    chunk: int

    @property
    def segment_seconds(self) -> Fraction:
        return self.segment / self.frame_rate

    @property
    def gop_seconds(self) -> Fraction:
        return self.gop / self.frame_rate

    @property
    def target_duration(self) -> int:
        """HLS target duration in whole seconds: no segment is longer by half a second."""
        return max(1, round(self.segment_seconds))


def cadence(frame_rate: Fraction, sample_rate: int, packaging: Packaging) -> Cadence:
    """The cadence nearest to the wishes of `packaging` that is whole frames throughout."""
    wanted = Fraction(packaging.gop_seconds)
    meeting = _meeting(1 / frame_rate, Fraction(AAC_FRAME, sample_rate))
    exact = wanted // meeting * meeting if meeting <= wanted / 4 else wanted
    gop = max(1, round(exact * frame_rate))
    segment = gop * packaging.segment_gops
    return Cadence(frame_rate=frame_rate, gop=gop, segment=segment, chunk=segment * packaging.chunk_segments)


def chunks(frames: int, cadence: Cadence) -> list[tuple[int, int]]:
    """
    (first frame, frames) of each chunk of a programme of that many frames.

    A rest shorter than a group of pictures goes with the chunk before it: x264 gives a run of one or two frames
    another delay (seen), and then the two can't be joined.
    """
    whole, rest = divmod(frames, cadence.chunk)
    starts = [number * cadence.chunk for number in range(whole)]
    if rest >= cadence.gop or not starts:
        starts.append(whole * cadence.chunk)
    ends = [*starts[1:], frames]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def segments(frames: int, cadence: Cadence) -> int:
    """How many segments a programme of that many frames has."""
    return ceil(frames / cadence.segment)


def _meeting(a: Fraction, b: Fraction) -> Fraction:
    """The shortest time that is a whole number of both."""
    numerator = a.numerator * b.numerator // gcd(a.numerator, b.numerator)
    return Fraction(numerator, gcd(a.denominator, b.denominator))

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
#: The share of a programme that is made in long chunks, and how many segments a chunk has at most after that. Steps
#: that take longer go first, so short ones are what is left when a farm runs out of work: they fill the slots while
#: the last long ones end, and one that takes three times as long as it should is waited for a fifth as long.
#: Static, like all that a digest is made of.
LONG = Fraction(3, 5)
SHORT_SEGMENTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How one programme is cut. All counts are of frames."""

    frame_rate: Fraction
    gop: int
    segment: int
    #: Of the longest; those near the end of a programme are shorter.
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
    short = min(cadence.chunk, SHORT_SEGMENTS * cadence.segment)
    turn = int(frames * LONG) // cadence.chunk * cadence.chunk
    starts = [*range(0, turn, cadence.chunk), *range(turn, frames, short)]
    if len(starts) > 1 and frames - starts[-1] < cadence.gop:
        starts.pop()
    ends = [*starts[1:], frames]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def segments(frames: int, cadence: Cadence) -> int:
    """How many segments a programme of that many frames has."""
    return ceil(frames / cadence.segment)


def _meeting(a: Fraction, b: Fraction) -> Fraction:
    """The shortest time that is a whole number of both."""
    numerator = a.numerator * b.numerator // gcd(a.numerator, b.numerator)
    return Fraction(numerator, gcd(a.denominator, b.denominator))

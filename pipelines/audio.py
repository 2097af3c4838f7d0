"""
One language's sound in one layout and codec: one continuous pass over the programme, never cut into chunks.

Two runs: the first measures loudness, the second applies one constant gain and encodes. Silence is added or sound cut
so that it is exactly as long as the picture.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.source import Source
from presets.audio import AudioVariant, Loudness

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioJob:
    """A language's sound to be measured and encoded."""

    kind: Literal["audio"] = "audio"
    #: Of the sound that comes out.
    digest: str
    source: Source
    demuxer: str
    stream: int
    #: ffmpeg's name of the source's layout.
    layout: str
    #: Seconds from the programme's first frame to the first sample.
    offset: Fraction
    #: Samples in the programme, at `sample_rate`.
    samples: int
    sample_rate: int
    variant: AudioVariant
    loudness: Loudness

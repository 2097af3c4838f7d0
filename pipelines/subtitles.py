"""
SRT or WebVTT in, a text track out: WebVTT segments over the whole programme for HLS, one whole file for DASH.

Text never passes through the packager: its WebVTT ends at the last cue and comes 100 ms late in two players.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.cadence import Cadence
from pipelines.delivery import TextKind
from pipelines.source import Source

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TextJob:
    """One language's text to be published."""

    kind: Literal["text"] = "text"
    #: Of the track.
    digest: str
    source: Source
    language: str
    text_kind: TextKind
    #: Seconds to add to the file's times.
    offset: Fraction
    #: Frames of the programme.
    frames: int
    cadence: Cadence

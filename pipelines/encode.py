"""
Mezzanine in, every rung of one chunk out.

`plan` decides what is encoded; `command` writes it down as a value that tests compare; `make` runs it and believes
nothing that it did not count.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.source import Source
from presets.ladder import Rung

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEncode:
    """One output of the command: a rung's part of the chunk."""

    #: Of the chunk of this rung; does not depend on which rungs are made beside it.
    digest: str
    rung: Rung
    #: Pixels; even, square, at the rung's height or the picture's if that is lower.
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """One ffmpeg run: the source is decoded once and scaled once per rung."""

    kind: Literal["encode"] = "encode"
    source: Source
    demuxer: str
    stream: int
    frame_rate: Fraction
    #: Clockwise degrees to turn the picture by.
    rotation: int
    #: First frame in the file, and how many.
    first_frame: int
    frames: int
    #: Frames from one key frame to the next.
    gop: int
    speed: str
    rungs: tuple[RungEncode, ...]

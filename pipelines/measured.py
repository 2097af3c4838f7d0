"""What `probe` finds in a delivery, as pure values: all that `plan` reads."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.delivery import AudioSource, Delivery, TextSource
from pipelines.source import Source

#: How red, green and blue became Y, Cb and Cr: by ITU-R BT.601 in standard definition, by BT.709 in high.
Matrix = Literal["bt601", "bt709"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The video of the mezzanine, as measured."""

    source: Source
    #: ffmpeg's name of the container's demuxer; later reads are confined to it.
    demuxer: str
    #: Index of the video stream in the file.
    stream: int
    codec: str
    #: Size in pixels as decoded, before rotation.
    width: int
    height: int
    #: Shape of a pixel, width by height.
    sample_aspect: Fraction
    #: Clockwise degrees that a player turns it before showing: 0, 90, 180 or 270.
    rotation: int
    frame_rate: Fraction
    #: Whole frames in the file.
    frames: int
    #: Frames that the time code of the first one stands for, counted from 00:00:00:00.
    start_frame: int
    #: Seconds from the beginning of the file, which seeks count from, to the first frame.
    lead: Fraction = Fraction(0)
    matrix: Matrix = "bt709"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One language's sound, as measured."""

    declared: AudioSource
    source: Source
    demuxer: str
    #: Index of the audio stream in the file.
    stream: int
    codec: str
    sample_rate: int
    channels: int
    #: ffmpeg's name of the layout: `mono`, `stereo`, `5.1`…
    layout: str
    #: Seconds of sound.
    duration: Fraction
    #: Seconds from the programme's first frame to the first sample; negative when the sound begins before it.
    offset: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language's text, read and found sound."""

    declared: TextSource
    source: Source
    #: Seconds to add to the file's times to get the programme's.
    offset: Fraction
    cues: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A delivery and everything measured of it; `plan` needs nothing else."""

    delivery: Delivery
    picture: Picture
    #: First frame of the programme in the mezzanine, and how many there are.
    first_frame: int
    frames: int
    sounds: tuple[Sound, ...]
    words: tuple[Words, ...]

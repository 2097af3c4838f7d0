"""The audio half of a preset: what is made of every language, and how loud it is."""

from typing import Annotated, Literal

from pydantic import Field

from presets.document import Document

Layout = Literal["stereo", "5.1"]


class AudioVariant(Document):
    """One encoded form of every language's sound."""

    codec: Literal["aac"] = "aac"
    """AAC-LC: the one codec that every player has."""
    layout: Layout = "stereo"
    """Loudspeaker layout. A language that has no surround sound does not get this variant."""
    bitrate: Annotated[int, Field(ge=16_000, le=1_000_000)] = 160_000
    """Bits per second. HLS authoring: 128–192 k for stereo, 320 k for 5.1."""


class Loudness(Document):
    """EBU R 128: one constant gain per programme."""

    target: Annotated[float, Field(ge=-40, le=-10)] = -23.0
    """Integrated loudness, in LUFS."""
    true_peak: Annotated[float, Field(ge=-9, le=0)] = -1.0
    """Highest true peak, in dBTP. The gain is lowered until it holds."""


class Audio(Document):
    """All that is made of a language's sound."""

    sample_rate: Literal[48_000] = 48_000
    """Hertz. The cadence of segments is counted against it."""
    variants: Annotated[tuple[AudioVariant, ...], Field(min_length=1)] = (AudioVariant(),)
    """The encoded forms."""
    loudness: Loudness = Loudness()
    """How loud."""

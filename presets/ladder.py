"""The video half of a preset: the rungs, and how they are encoded."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from presets.document import Document

Bitrate = Annotated[int, Field(gt=0)]


class Rung(Document):
    """One step of a ladder: a frame height and the rate control that goes with it."""

    height: Annotated[int, Field(ge=16, le=4320, multiple_of=2)]
    """Height in pixels of the 16:9 frame that the picture is fitted into; a rung above the picture is left out."""
    bitrate: Bitrate
    """The average expected of demanding programmes, in bits per second; estimates and lint read it."""
    maxrate: Bitrate
    """Ceiling of the decoder's buffer model, in bits per second. HLS wants peaks within 200 % of the average."""
    bufsize: Bitrate
    """Size of the decoder's buffer, in bits."""
    crf: Annotated[float, Field(ge=0, le=51)]
    """One quality for the whole programme: chunks encoded to an average bitrate dip at their joins."""
    profile: Literal["baseline", "main", "high"] = "high"
    """H.264 profile; what the oldest device of the rung's audience decodes."""
    must: bool = True
    """Whether a release waits for this rung. The others are encoded after all those that must be there."""

    @model_validator(mode="after")
    def _ceiling_above_average(self) -> "Rung":
        if self.maxrate < self.bitrate:
            raise ValueError(f"maxrate {self.maxrate} is below bitrate {self.bitrate}")
        return self


class Video(Document):
    """The ladder, and what all its rungs share."""

    codec: Literal["avc"] = "avc"
    """The video codec of the ladder."""
    speed: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = "medium"
    """The encoder's own preset: slower buys fewer bits at the same quality."""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)]
    """The ladder, in any order; manifests list it as players want it."""

    @model_validator(mode="after")
    def _rungs_differ(self) -> "Video":
        names = [(rung.height, rung.bitrate) for rung in self.rungs]
        if len(set(names)) != len(names):
            raise ValueError("two rungs have the same height and bitrate")
        if not any(rung.must for rung in self.rungs):
            raise ValueError("no rung is `must`: a release would wait for nothing")
        return self

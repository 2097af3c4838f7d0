"""What manifests say beyond what the tracks are. With the tracks, it is all that they are made from."""

from dataclasses import dataclass
from fractions import Fraction

from pipelines.cadence import Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A chapter, in seconds of the programme."""

    kind: str
    start: Fraction
    end: Fraction | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who is offered what first, how it is cut, and what it is called."""

    title: str
    #: The audio that players pick unless the viewer chose.
    default_language: str
    cadence: Cadence
    #: Frames of the programme.
    frames: int
    marks: tuple[Mark, ...] = ()

    @property
    def duration(self) -> Fraction:
        """Seconds of the programme."""
        return self.frames / self.cadence.frame_rate

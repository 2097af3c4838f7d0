"""What a step of the queue is, and what one that is done took: what forecasts are drawn from."""

from dataclasses import dataclass

from pipelines.audio import AudioJob
from pipelines.encode import EncodeJob
from pipelines.step import Lane, Step

Sort = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A step that is not done, of the episode that is asked about or of another."""

    step: Step
    #: Lowest goes first.
    key: float
    ours: bool
    #: Share of it that is done, and seconds that it has run; zero when it does not run.
    progress: float = 0.0
    elapsed: float = 0.0
    #: Seconds from now before which it can't begin: what it is made from has not come.
    arrival: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What one step took that is done."""

    sort: Sort
    #: Where it was done.
    host: str
    #: Seconds for each estimated second.
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A slot, where it is, and the lanes that it serves."""

    host: str
    lanes: tuple[Lane, ...]


def sort_of(step: Step) -> Sort:
    """What a step has in common with those that take as long for each estimated second."""
    job = step.job
    match job:
        case EncodeJob():
            return ("encode", job.speed, *sorted(f"{rung.height}p" for rung in job.rungs))
        case AudioJob():
            return ("audio", job.variant.codec)
        case _:
            return (job.kind,)

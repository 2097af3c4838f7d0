"""One piece of work: what it does, what it starts from and leaves, how urgent, long and large it is."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipelines import cost
from pipelines.audio import AudioJob
from pipelines.encode import EncodeJob
from pipelines.matrix import Urgency
from pipelines.subtitles import TextJob
from pipelines.thumbnails import ThumbnailJob
from pipelines.track import PackageJob
from pipelines.version import ComposeJob, VerifyJob
from pipelines.warm import WarmJob
from pipelines.wire import digest

Lane = Literal["encode", "audio", "package", "warm", "control"]
Job = Annotated[
    EncodeJob | AudioJob | PackageJob | TextJob | ThumbnailJob | ComposeJob | VerifyJob | WarmJob,
    Field(discriminator="kind"),
]

LANES: dict[str, Lane] = {
    "encode": "encode",
    "audio": "audio",
    "package": "package",
    "text": "package",
    "thumbnails": "package",
    "compose": "control",
    "verify": "control",
    "warm": "warm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One piece of work that is done as a whole or not at all."""

    #: The kind and the beginning of the digest of what it makes: the same work has the same id.
    id: str
    lane: Lane
    #: For people: `encode 0:12–0:24 234p 360p`.
    label: str
    job: Job
    #: Digests of the artifacts that it starts from, and of those it makes.
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    urgency: Urgency
    #: Estimated seconds of one core.
    cost: float
    #: Estimated seconds from its start to the end of what is as urgent as it, along the longest way.
    tail: float = 0.0
    #: Bytes that it may hold at once.
    memory: int


def step_of(job: Job, *, needs: tuple[str, ...] = (), label: str, urgency: Urgency = "must") -> Step:
    """The step that does `job`."""
    makes = tuple(rung.digest for rung in job.rungs) if isinstance(job, EncodeJob) else (job.digest,)
    return Step(
        id=f"{job.kind}-{digest(makes)[:16]}",
        lane=LANES[job.kind],
        label=label,
        job=job,
        needs=needs,
        makes=makes,
        urgency=urgency,
        cost=cost.seconds(job),
        memory=cost.memory(job),
    )

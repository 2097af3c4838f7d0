"""Plans of make-believe steps, a broker of one's own, and waiting for something to become true."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Event

from pipelines.artifact import Artifact
from pipelines.cadence import Cadence
from pipelines.edition import Edition
from pipelines.encode import EncodeJob, RungEncode
from pipelines.matrix import Urgency
from pipelines.plan import Plan
from pipelines.policy import Policy
from pipelines.source import Source
from pipelines.step import Lane, Step
from pipelines.version import ComposeJob
from pipelines.wire import digest
from presets.ladder import Rung
from workers import services
from workers.ledger import Claim, Ledger

CADENCE = Cadence(frame_rate=Fraction(25), gop=48, segment=144, chunk=288)
POLICY = Policy(title="", default_language="en", cadence=CADENCE, frames=1)
LANES: tuple[Lane, ...] = ("encode", "audio", "package", "warm", "control")
MEBIBYTE = 1 << 20


def step(
    name: str,
    *,
    lane: Lane = "encode",
    needs: Iterable[Step] = (),
    does: str = "nothing",
    urgency: Urgency = "must",
    tail: float = 10.0,
    memory: int = 0,
) -> Step:
    """A step that makes one artifact; `does` is what tests.fakes.slot is to do for it."""
    made = digest(name)
    policy = replace(POLICY, title=does)
    return Step(
        id=f"compose-{name}",
        lane=lane,
        label=name,
        job=ComposeJob(digest=made, tracks=(), policy=policy),
        needs=tuple(made for need in needs for made in need.makes),
        makes=(made,),
        urgency=urgency,
        cost=1.0,
        tail=tail,
        memory=memory,
    )


def encode(name: str, rungs: Iterable[str]) -> Step:
    """A step that makes one artifact for each rung."""
    rung = Rung(height=90, bitrate=1, maxrate=1, bufsize=1, crf=30)
    job = EncodeJob(
        source=Source(uri="/a", size=1, sha256="00"),
        demuxer="mov",
        stream=0,
        pixels=160 * 90,
        frame_rate=Fraction(25),
        rotation=0,
        first_frame=0,
        frames=288,
        gop=48,
        speed="fast",
        rungs=tuple(RungEncode(digest=digest(each), rung=rung, width=160, height=90) for each in rungs),
    )
    makes = tuple(each.digest for each in job.rungs)
    return Step(
        id=f"encode-{digest(makes)[:16]}", lane="encode", label=name, job=job, needs=(), makes=makes, urgency="must",
        cost=1.0, tail=10.0, memory=0,
    )  # fmt: skip


def plan(episode: str, steps: Iterable[Step]) -> Plan:
    """A plan of these steps, and one that needs them all and makes what is verified."""
    steps = tuple(steps)
    last = step(f"{episode}-verified", lane="control", needs=steps)
    return Plan(
        episode=episode,
        title=episode.title(),
        preset="quick",
        editions=(
            Edition(urgency="must", version=steps[-1].makes[0], verification=last.makes[0], warmth={}, tracks=()),
        ),
        frames=1,
        frame_rate=Fraction(25),
        tracks=(),
        steps=(*steps, last),
    )


def made(step: Step, *, token: int = 1) -> tuple[Artifact, ...]:
    """What a step leaves behind."""
    return tuple(
        Artifact(digest=each, kind="version", key=f"attempts/{step.id}/{token}/", size=1, sha256="00" * 32)
        for each in step.makes
    )


def claim(ledger: Ledger, *, lanes: Iterable[Lane] = LANES, host: str = "h", lease: float = 30.0) -> Claim | None:
    return ledger.claim(lanes, worker=f"{host}/1", host=host, lease_seconds=lease)


def claimed(ledger: Ledger, *, host: str = "h", lease: float = 30.0) -> Claim:
    """A claim that must succeed."""
    found = claim(ledger, host=host, lease=lease)
    assert found is not None
    return found


def until(true: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None, patience: float = 60.0) -> None:
    """Return when `true` is; fail when it takes longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    pause = Event()
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        meanwhile()
        pause.wait(0.02)


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A Valkey of one's own; its address."""
    folder.mkdir(exist_ok=True)
    with services.services(folder, services.secrets(folder), store=False) as running:
        assert running.broker
        yield running.broker.address

"""
Will it be in time? Each language version, each edition, the release: ready, ready at some hour, or never by itself.

Pure, and from facts: which artifacts exist, what the gate lacks. When the rest will be is drawn from the queue as it
is; no step's word is taken for what is there.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pipelines.edition import Edition, offered
from pipelines.matrix import PlannedTrack, Urgency
from pipelines.release import Ref
from pipelines.step import Step
from workers.forecast import Future, futures, last, summed
from workers.ledger import Overview, Release
from workers.ledger.urgency import GRACE
from workers.pace import Pace, Queued, Seat

#: `at risk`: likely in time, but not with 95 % certainty. `never`: not without somebody. `coming`: it has no time.
State = Literal["ready", "in time", "at risk", "late", "never", "coming"]
Kind = Literal["picture", "language", "text", "thumbnails"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of an episode's release at one moment."""

    overview: Overview
    #: None: nothing is armed.
    release: Release | None
    ref: Ref
    #: By its version, what each edition of the plan lacks: digests of goals, subjects of checks with what was found.
    lacks: Mapping[str, Mapping[str, str]]
    #: What is to be done, on which slots, and what such steps took.
    queue: tuple[Queued, ...]
    seats: tuple[Seat, ...]
    paces: tuple[Pace, ...]

    @property
    def at(self) -> datetime | None:
        """T; None: nothing is armed, or it is released as soon as it is whole."""
        return self.release.at if self.release and self.overview.deadline else None

    @property
    def offered(self) -> Sequence[Edition]:
        """The editions that may go out, the least first."""
        armed = {edition.version for edition in self.release.editions} if self.release else set()
        planned = self.overview.plan.editions
        return offered([each for each in planned if each.version in armed] or planned, self.ref.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When something is ready."""

    state: State
    #: As likely before as after; and with 95 % certainty. None: it is ready, or never.
    p50: datetime | None = None
    p95: datetime | None = None
    #: Seconds from p95 until it is due; negative: late.
    slack: float | None = None
    #: Who or what keeps it from ever being ready.
    why: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether nothing needs to be given up."""
        return self.state in ("ready", "in time", "coming")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What viewers tell apart: a language version, the picture, texts; as far as it is equally urgent."""

    kind: Kind
    #: `fr`, `picture`, `text`, `thumbnails`.
    name: str
    urgency: Urgency
    tracks: tuple[PlannedTrack, ...]
    #: Digests of those of them that exist.
    made: frozenset[str]
    #: When it could be out if its edition waited for nothing else.
    outlook: Outlook
    #: The same of each track.
    each: tuple[Outlook, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """An edition on its way to viewers."""

    edition: Edition
    #: Viewers have it, or more.
    released: bool
    verified: bool
    #: By edge.
    warm: Mapping[str, bool]
    #: Checks that failed since, and what they found.
    failed: Mapping[str, str]
    outlook: Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """An episode's release."""

    #: Those that may go out, the least first.
    editions: tuple[Going, ...]
    parts: tuple[Part, ...]

    @property
    def least(self) -> Going:
        """What must be whole at T."""
        return self.editions[0]


def readiness(known: Known, seed: str) -> Readiness:
    """How ready an episode is. The same `seed` and facts give the same answer."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    queue = possible(known.queue, known.overview.made)
    drawn = _Drawn(known, futures(queue, known.seats, known.paces, chance))
    viewers = [number for number, each in enumerate(known.offered) if each.version == known.ref.version]
    return Readiness(
        editions=tuple(
            drawn.going(edition, released=bool(viewers) and number <= viewers[0])
            for number, edition in enumerate(known.offered)
        ),
        parts=tuple(drawn.part(*key, tracks) for key, tracks in _parts(known.overview.plan.tracks).items()),
    )


def possible(queue: Sequence[Queued], made: Collection[str]) -> tuple[Queued, ...]:
    """The steps that can be done without somebody. Of other episodes all are believed to be."""
    there = set(made)
    kept: set[str] = set()
    while more := {one.step.id for one in queue if one.step.id not in kept and there.issuperset(one.step.needs)}:
        kept |= more
        there |= {each for one in queue if one.step.id in more for each in one.step.makes}
    return tuple(one for one in queue if not one.ours or one.step.id in kept)


def _parts(tracks: Sequence[PlannedTrack]) -> dict[tuple[Kind, str, Urgency], list[PlannedTrack]]:
    found: dict[tuple[Kind, str, Urgency], list[PlannedTrack]] = {}
    for track in tracks:
        found.setdefault((*_whose(track), track.urgency), []).append(track)
    return found


def _whose(track: PlannedTrack) -> tuple[Kind, str]:
    """A language version is its audio in all roles, and its forced narrative; other text may go with any of them."""
    if track.medium == "audio" or track.label.endswith(" forced"):
        return "language", track.language
    match track.medium:
        case "video":
            return "picture", "picture"
        case "thumbnails":
            return "thumbnails", "thumbnails"
        case _:
            return "text", "text"


class _Drawn:
    """What is known, and the futures that were drawn from it."""

    def __init__(self, known: Known, drawn: Sequence[Future]) -> None:
        self._known = known
        self._drawn = drawn
        self._made = known.overview.made
        self._tails: dict[str, Sequence[float]] = {}
        self._makers = {made: step for step in known.overview.plan.steps for made in step.makes}

    def going(self, edition: Edition, *, released: bool) -> Going:
        lacks = self._known.lacks[edition.version]
        failed = {subject: said for subject, said in lacks.items() if subject not in edition.goals}
        ready = released or not lacks
        outlook = self._outlook(self._ends(edition.goals), edition.urgency) if not ready else Outlook(state="ready")
        if failed and not ready:
            why = tuple(f"{subject}: {said or 'not passed'}" for subject, said in failed.items())
            outlook = Outlook(state="never", why=why)
        elif outlook.state == "never":
            outlook = Outlook(state="never", why=self._why(edition.goals))
        return Going(
            edition=edition,
            released=released,
            verified=edition.verification not in lacks,
            warm={edge: made not in lacks for edge, made in edition.warmth.items()},
            failed=failed,
            outlook=outlook,
        )

    def part(self, kind: Kind, name: str, urgency: Urgency, tracks: Sequence[PlannedTrack]) -> Part:
        mine = {track.digest for track in tracks}
        edition = next(each for each in self._known.offered if mine.issubset(each.tracks))
        return Part(
            kind=kind,
            name=name,
            urgency=urgency,
            tracks=tuple(tracks),
            made=frozenset(mine & self._made),
            outlook=self._alone(mine, urgency, edition),
            each=tuple(self._alone({track.digest}, urgency, edition) for track in tracks),
        )

    def _alone(self, tracks: Collection[str], urgency: Urgency, edition: Edition) -> Outlook:
        """When these tracks would be out if the edition waited for nothing else."""
        if not self._known.lacks[edition.version] or self._known.ref.version == edition.version:
            return Outlook(state="ready")
        ends = [
            None if end is None else end + after
            for end, after in zip(self._ends(tracks), self._after(edition), strict=True)
        ]
        outlook = self._outlook(ends, urgency)
        return outlook if outlook.state != "never" else Outlook(state="never", why=self._why(tracks))

    def _after(self, edition: Edition) -> Sequence[float]:
        """Seconds from its last track to its release, in each future; as planned where a track never comes."""
        if edition.version not in self._tails:
            planned = self._makers[edition.version].tail
            ends = zip(self._ends(edition.tracks), self._ends(edition.goals), strict=True)
            tails = [planned if made is None or out is None else out - made for made, out in ends]
            self._tails[edition.version] = tails
        return self._tails[edition.version]

    def _missing(self, digests: Collection[str]) -> set[str]:
        return set(digests) - self._made

    def _ends(self, digests: Collection[str]) -> list[float | None]:
        missing = self._missing(digests)
        return [last(future, missing) for future in self._drawn]

    def _outlook(self, ends: Sequence[float | None], urgency: Urgency) -> Outlook:
        found = summed(ends)
        if found is None:
            return Outlook(state="never")
        now = self._known.overview.now
        p50, p95 = (now + timedelta(seconds=each) for each in (found.p50, found.p95))
        if self._known.at is None:
            return Outlook(state="coming", p50=p50, p95=p95)
        due = self._known.at + timedelta(seconds=GRACE[urgency])
        state: State = "in time" if p95 <= due else "at risk" if p50 <= due else "late"
        return Outlook(state=state, p50=p50, p95=p95, slack=(due - p95).total_seconds())

    def _why(self, digests: Collection[str]) -> tuple[str, ...]:
        """What keeps these artifacts from ever being there."""
        overview = self._known.overview
        if overview.cancelled_at:
            return ("it was cancelled",)
        steps = self._before(digests)
        stuck = [view for view in overview.stuck if view.step.id in steps]
        if stuck:
            return tuple(f"`{view.step.label}` failed" + _cause(view.fault) for view in stuck)
        served = {lane for seat in self._known.seats for lane in seat.lanes}
        idle = sorted({step.lane for step in steps.values()} - served)
        return (f"no slot serves {', '.join(idle)}" if idle else "nothing that is queued makes it",)

    def _before(self, digests: Collection[str]) -> dict[str, Step]:
        """The steps that must be done before these artifacts exist, by id."""
        found: dict[str, Step] = {}
        wanted = self._missing(digests)
        while wanted:
            step = self._makers[wanted.pop()]
            if step.id not in found:
                found[step.id] = step
                wanted |= self._missing(step.needs)
        return found


def _cause(fault: object) -> str:
    message = getattr(fault, "message", "")
    return f": {message}" if message else ""

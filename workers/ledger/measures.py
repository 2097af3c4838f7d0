"""
What is measured of the whole farm at one moment: how much waits, since when, how late it is, and who is there for it.

A handful of queries, made to be asked every few seconds for ever. Only the counts by state read more the more is
waiting, and those from the index alone; what is done is not counted, since that only grows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Connection, Select, and_, exists, func, literal, select, union_all

from pipelines.matrix import Urgency
from pipelines.step import Lane
from workers.ledger.database import Database
from workers.ledger.schema import artifacts, episodes, hosts, now, pauses, step_needs, steps, wants
from workers.ledger.urgency import BULK, HOUR

#: States that somebody may have to do something about.
COUNTED = ("waiting", "ready", "running", "failed", "quarantined")
#: So many of a lane's most urgent steps are asked how urgent they are.
FIRST = 32
#: Seconds: releases are looked for from so long ago until so far ahead.
PAST, AHEAD = 6 * HOUR, 24 * HOUR
#: What an episode needs before its release, by the steps that make it.
GOALS = {"verification": steps.c.id.like("verify-%"), "warmth": steps.c.lane == "warm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The farm at one moment."""

    #: How many steps there are, by state and lane; nothing where there are none.
    steps: Mapping[tuple[str, Lane], int]
    #: Seconds for which the most urgent ready step of a lane could have been claimed, at most; no lane without one.
    waits: Mapping[Lane, float]
    #: Seconds until a step must begin that has not, the least by lane and urgency; without bulk, which is never late.
    slack: Mapping[tuple[Lane, Urgency], float]
    #: Whether nobody claims from a lane because an operator said so.
    paused: Mapping[Lane, bool]
    #: Slots of each host and class.
    slots: Mapping[tuple[str, str], int]
    #: Seconds until the next deadline of an episode that lacks one of `GOALS`, within a day; negative once it is past.
    lacking: Mapping[str, float]


class Measures(Database):
    """Measures."""

    def measure(self) -> Measured:
        """Measure once."""
        with self._read() as connection:
            clock = connection.execute(select(now())).scalar_one()
            return Measured(
                steps=_counts(connection),
                waits=_waits(connection, clock),
                slack=_slack(connection, clock),
                paused=_paused(connection),
                slots=_slots(connection),
                lacking=_lacking(connection, clock),
            )


def _counts(connection: Connection) -> dict[tuple[str, Lane], int]:
    query = select(steps.c.state, steps.c.lane, func.count()).where(steps.c.state.in_(COUNTED))
    return {
        (state, lane): count for state, lane, count in connection.execute(query.group_by(steps.c.state, steps.c.lane))
    }


def _waits(connection: Connection, clock: float) -> dict[Lane, float]:
    """
    Since when each lane's first could have been claimed: its episode's arrival, its last input, the end of a pause.

    After an attempt that its holder did not end, nobody knows: then since that attempt began.
    """
    first = [_first(lane, "ready", 1, steps.c.not_before <= clock) for lane in get_args(Lane)]
    came = select(episodes.c.submitted_at).where(episodes.c.id == steps.c.episode).scalar_subquery()
    needs = select(func.max(artifacts.c.committed_at)).join(step_needs, step_needs.c.artifact == artifacts.c.digest)
    fed = needs.where(step_needs.c.step == steps.c.id).scalar_subquery()
    marks = (came, fed, steps.c.not_before, steps.c.started_at, steps.c.finished_at)
    query = select(steps.c.lane, *marks).where(steps.c.id.in_(union_all(*first)))
    return {lane: max(0.0, clock - max(mark or 0.0 for mark in since)) for lane, *since in connection.execute(query)}


def _slack(connection: Connection, clock: float) -> dict[tuple[Lane, Urgency], float]:
    lanes = [(lane, state) for lane in get_args(Lane) for state in ("waiting", "ready")]
    first = [_first(lane, state, FIRST, steps.c.latest_start < BULK) for lane, state in lanes]
    urgency = steps.c.body["urgency"].as_string()
    query = select(steps.c.lane, urgency, func.min(steps.c.latest_start)).where(steps.c.id.in_(union_all(*first)))
    rows = connection.execute(query.group_by(steps.c.lane, urgency))
    return {(lane, urgency): latest - clock for lane, urgency, latest in rows}


def _first(lane: str, state: str, most: int, *more: Any) -> Select[Any]:
    """The ids of a lane's most urgent steps in a state, from the index."""
    found = select(steps.c.id).where(steps.c.state == state, steps.c.lane == lane, *more)
    return select(found.order_by(steps.c.latest_start, steps.c.position).limit(most).subquery().c.id)


def _paused(connection: Connection) -> dict[Lane, bool]:
    paused = set(connection.scalars(select(pauses.c.lane)))
    return {lane: lane in paused for lane in get_args(Lane)}


def _slots(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(select(hosts.c.host, hosts.c.slots))
    return {(row.host, name): count for row in rows for name, count in row.slots.items()}


def _lacking(connection: Connection, clock: float) -> dict[str, float]:
    soon = episodes.c.deadline.between(clock - PAST, clock + AHEAD)
    queries = []
    for goal, makes in GOALS.items():
        undone = and_(wants.c.episode == episodes.c.id, makes, steps.c.state.not_in(("done", "dropped")))
        open_ = exists(select(wants.c.step).join(steps, steps.c.id == wants.c.step).where(undone))
        queries.append(select(literal(goal), func.min(episodes.c.deadline)).where(soon, open_))
    rows = connection.execute(union_all(*queries))
    return {goal: deadline - clock for goal, deadline in rows if deadline is not None}

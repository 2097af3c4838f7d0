"""
The two queries of a claim: what room the claimer's host has, and the most urgent step, taken if it fits.

They are built once. Claims are what a farm does most; building them anew would cost more than PostgreSQL takes.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Update,
    bindparam,
    case,
    func,
    or_,
    select,
    union_all,
    update,
)

from pipelines.errors import ConfigurationError
from pipelines.step import Lane
from workers.ledger.migrate import HEAD, unknown
from workers.ledger.schema import farm, hosts, now, pauses, revision, steps
from workers.ledger.tracing import asked

#: What goes first.
URGENCY = (steps.c.latest_start, steps.c.position)
#: So many of a lane's first steps are looked at: more than hosts ever claim from one lane in the same millisecond.
CLAIMERS = 32

HOST = (
    select(
        hosts.c.memory,
        hosts.c.drained,
        select(revision.c.version_num).scalar_subquery().label("schema"),
        select(farm.c.epoch).scalar_subquery().label("epoch"),
        select(func.aggregate_strings(pauses.c.lane, " ")).scalar_subquery().label("paused"),
    )
    .where(hosts.c.host == bindparam("host"))
    .with_for_update(of=hosts)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """Who claims."""

    worker: str
    host: str
    lease_seconds: float


def take(connection: Connection, lanes: tuple[Lane, ...], taker: Taker) -> Row[Any] | None:
    """
    The most urgent ready step of these lanes, now running and ours; None if there is none, or it does not fit.

    The host's row is locked first, so claims of one host take turns: while one of them looks at a step that is too
    large for now, another would pass over it to a smaller one. And only what is read after the lock was had counts
    the memory that the last claim took.
    """
    found = connection.execute(HOST, {"host": taker.host}).first()
    if found is None:
        raise ConfigurationError(
            f"Host `{taker.host}` is not in the ledger.",
            hint="Start its workers: `avant run`, or `avant worker` on a farm.",
        )
    if found.schema != HEAD:
        raise unknown(found.schema)
    paused = (found.paused or "").split()
    lanes = tuple(lane for lane in lanes if lane not in paused)
    if found.drained or not lanes:
        return None
    values = {
        "by": taker.worker,
        "at": taker.host,
        "seconds": taker.lease_seconds,
        "room": found.memory,
        "epoch": found.epoch,
    }
    return connection.execute(_taking(lanes), values).first()


@cache
def _taking(lanes: tuple[Lane, ...]) -> Update:
    reserved = (
        select(func.coalesce(func.sum(steps.c.memory), 0))
        .where(steps.c.state == "running", steps.c.host == bindparam("at"))
        .correlate(None)
        .scalar_subquery()
    )
    # A step larger than the host gets it for itself: the estimate may be wrong, waiting for ever is.
    fits = or_(reserved == 0, reserved + steps.c.memory <= bindparam("room"))
    above = case((steps.c.token < bindparam("epoch"), bindparam("epoch")), else_=steps.c.token)
    return (
        update(steps)
        .where(steps.c.id == _most_urgent(lanes), fits)
        .values(
            state="running",
            worker=bindparam("by"),
            host=bindparam("at"),
            started_at=now(),
            finished_at=None,
            progress=0.0,
            token=above + 1,
            attempts=steps.c.attempts + 1,
            lease_until=now() + bindparam("seconds"),
        )
        .returning(*(steps.c[name] for name in ("id", "body", "episode", "token", "attempts", "life")), asked())
    )


def _most_urgent(lanes: tuple[Lane, ...]) -> Any:
    """
    The id of the step to take, which nobody else is taking at this moment; it alone is locked.

    The first of each lane come from the index without a lock. To lock each lane's first would make other hosts pass
    over what we don't take in the end.
    """
    firsts = [
        select(
            select(steps.c.id).where(*_ready(steps), steps.c.lane == lane).order_by(*URGENCY).limit(CLAIMERS).subquery()
        )
        for lane in lanes
    ]
    one = steps.alias("one")
    return (
        select(one.c.id)
        .where(one.c.id.in_(union_all(*firsts)), *_ready(one))
        .order_by(one.c.latest_start, one.c.position)
        .limit(1)
        # Of rows that others hold, the next one is looked at. SQLite, which has one writer at a time, leaves this out.
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )


def _ready(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    """What this host may begin now; where its tool just failed, others go first."""
    elsewhere = or_(table.c.elsewhere_until <= now(), table.c.failed_on != bindparam("at"))
    return (table.c.state == "ready", table.c.not_before <= now(), elsewhere)

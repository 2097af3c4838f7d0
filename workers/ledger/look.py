"""
What supervisors ask again and again, and slots after each claim: one query, whose cost does not grow with the backlog.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from sqlalchemy import CompoundSelect, Integer, Text, cast, func, literal, select, union_all

from pipelines.step import Lane
from workers.ledger.database import Database
from workers.ledger.schema import hosts, now, pauses, revision, steps

#: Ready steps of a lane are counted up to here: more slots than this are woken by several looks.
ENOUGH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is to be done about the farm at this moment."""

    #: The schema that the ledger has.
    schema: str
    #: Whether a lease has run out.
    late: bool
    #: How many steps of each lane could be claimed, counted up to `ENOUGH`; no lane without any, none paused.
    ready: Mapping[Lane, int]
    #: How many slots of each class all hosts have together that are not drained.
    slots: Mapping[str, int]
    #: Hosts that claim nothing.
    drained: frozenset[str]


class Looks(Database):
    """Looks."""

    def look(self) -> Look:
        """Look once."""
        with self._read_at_once() as connection:
            found = connection.execute(_looking()).all()
        of = {
            what: [(name, count) for each, name, count in found if each == what]
            for what in ("schema", "late", "slots", "drained", "paused", "ready")
        }
        paused = {name for name, _ in of["paused"]}
        return Look(
            schema=of["schema"][0][0],
            late=bool(of["late"][0][1]),
            ready={name: count for name, count in of["ready"] if count and name not in paused},
            slots=sum((Counter(json.loads(name)) for name, _ in of["slots"]), Counter()),
            drained=frozenset(name for name, _ in of["drained"]),
        )

    def busy(self, host: str) -> bool:
        """Whether a step runs on `host`."""
        running = select(steps.c.id).where(steps.c.state == "running", steps.c.host == host).limit(1)
        with self._read_at_once() as connection:
            return connection.execute(running).first() is not None


@cache
def _looking() -> CompoundSelect[Any]:
    """The query, built once: slots ask it after every claim and every commit."""
    late = select(steps.c.id).where(steps.c.state == "running", steps.c.lease_until < now()).limit(1)
    rows = [
        select(literal("schema").label("what"), revision.c.version_num.label("name"), literal(0).label("count")),
        select(literal("late"), literal(""), func.count()).select_from(late.subquery()),
        select(literal("slots"), cast(hosts.c.slots, Text), literal(0)).where(~hosts.c.drained),
        select(literal("drained"), hosts.c.host, literal(0)).where(hosts.c.drained),
        select(literal("paused"), pauses.c.lane, literal(0)),
    ]
    for lane in get_args(Lane):
        ready = select(steps.c.id).where(steps.c.state == "ready", steps.c.lane == lane, steps.c.not_before <= now())
        counted = select(literal("ready"), literal(lane), cast(func.count(), Integer))
        rows.append(counted.select_from(ready.limit(ENOUGH).subquery()))
    return union_all(*rows)

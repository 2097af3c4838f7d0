"""
A plan comes in: only what is missing becomes rows, and nothing that is already being made is made twice.

Submitting the same plan again is how an episode is resumed after a failure, moved to another deadline, or left alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, delete, exists, func, insert, select, update

from pipelines.plan import Plan, missing
from pipelines.step import Step
from pipelines.wire import from_data, to_data
from workers.ledger.database import Database, pass_gate
from workers.ledger.schema import artifacts, episodes, now, plans, step_makes, step_needs, steps, wants
from workers.ledger.tracing import trace_of
from workers.ledger.urgency import latest_start

LIVE = ("waiting", "ready", "running")
#: A step that starts as if nothing had happened to it.
AFRESH = {"error": None, "attempts": 0, "vanished": 0, "not_before": 0.0, "failed_on": None, "elsewhere_until": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a plan costs now."""

    #: The steps that run, or are already running, for it.
    steps: tuple[Step, ...]
    #: Digests of the plan's artifacts that were there.
    existing: frozenset[str]
    #: What its log lines go by, all the way to its release.
    trace: str


class Submissions(Database):
    """Plans in."""

    def submit(self, plan: Plan, *, deadline: datetime | None) -> Submitted:
        """Have all that is missing of `plan` made by `deadline`; without one, after everything that has one."""
        with self._write() as connection:
            pass_gate(connection)
            return _submitted(connection, plan, deadline.timestamp() if deadline else None)

    def submit_once(self, plan: Plan, *, deadline: datetime | None) -> Submitted | None:
        """The same, unless `plan` is what its episode is to become by that deadline already: then None, untouched."""
        due = deadline.timestamp() if deadline else None
        with self._write() as connection:
            pass_gate(connection)
            if _is_current(connection, plan, due):
                return None
            return _submitted(connection, plan, due)


def _submitted(connection: Connection, plan: Plan, due: float | None) -> Submitted:
    makes = {made for step in plan.steps for made in step.makes}
    existing = frozenset(connection.scalars(select(artifacts.c.digest).where(artifacts.c.digest.in_(makes))))
    todo = missing(plan, set(existing))
    others = _made_by_others(connection, todo)
    own = missing(plan, set(existing) | set(others))
    at = connection.execute(select(now())).scalar_one()
    keys = _keys(own, todo, others, deadline=due, submitted_at=at)
    before = frozenset(connection.scalars(select(wants.c.step).where(wants.c.episode == plan.episode)))
    lock(connection, steps.c.id.in_(before | set(keys)))
    _keep_plan(connection, plan, due, at)
    _keep_steps(connection, plan, own)
    _keep_wants(connection, plan.episode, before, keys)
    connection.execute(settled().where(steps.c.id.in_([step.id for step in own])))
    return Submitted(steps=own, existing=existing, trace=trace_of(plan.episode, at))


def _is_current(connection: Connection, plan: Plan, due: float | None) -> bool:
    """Whether this very plan, its edges included, is what its episode waits for by that deadline."""
    last = (episodes.c.id == plans.c.episode) & (episodes.c.version == plans.c.version)
    query = select(plans.c.plan, episodes.c.deadline).join(episodes, last).where(episodes.c.id == plan.episode)
    row = connection.execute(query).first()
    return row is not None and row.deadline == due and from_data(Plan, row.plan) == plan


def lock(connection: Connection, *which: ColumnElement[bool]) -> list[str]:
    """Lock steps; their ids."""
    return list(connection.scalars(locking(*which)))


def locking(*which: ColumnElement[bool]) -> Select[Any]:
    """What locks steps in the order that everybody keeps, so that no two transactions wait for each other."""
    return select(steps.c.id).where(*which).order_by(steps.c.id).with_for_update()


def settled() -> Update:
    """The update that makes waiting steps ready which miss nothing any more; to be narrowed by whoever uses it."""
    need = (
        select(step_needs.c.step)
        .outerjoin(artifacts, artifacts.c.digest == step_needs.c.artifact)
        .where(step_needs.c.step == steps.c.id, artifacts.c.digest.is_(None))
    )
    return update(steps).where(steps.c.state == "waiting", ~exists(need)).values(state="ready")


def _made_by_others(connection: Connection, todo: Iterable[Step]) -> dict[str, str]:
    """Artifacts of `todo` that live steps, which are not of `todo` themselves, are about to make; by which step."""
    todo = tuple(todo)
    query = (
        select(step_makes.c.artifact, step_makes.c.step)
        .join(steps, steps.c.id == step_makes.c.step)
        .where(
            step_makes.c.artifact.in_([made for step in todo for made in step.makes]),
            steps.c.state.in_(LIVE),
            steps.c.id.not_in([step.id for step in todo]),
        )
    )
    return {row.artifact: row.step for row in connection.execute(query)}


def _keep_plan(connection: Connection, plan: Plan, deadline: float | None, at: float) -> None:
    row = {"title": plan.title, "version": plan.version, "deadline": deadline, "submitted_at": at, "cancelled_at": None}
    if not connection.execute(update(episodes).where(episodes.c.id == plan.episode).values(row)).rowcount:
        connection.execute(insert(episodes).values(id=plan.episode, **row))
    connection.execute(delete(plans).where(plans.c.episode == plan.episode, plans.c.version == plan.version))
    connection.execute(
        insert(plans).values(episode=plan.episode, version=plan.version, plan=to_data(plan), submitted_at=at)
    )


def _keep_steps(connection: Connection, plan: Plan, own: tuple[Step, ...]) -> None:
    """Rows for steps that have none; another chance for those that failed, or whose output is gone."""
    known = set(connection.scalars(select(steps.c.id).where(steps.c.id.in_([step.id for step in own]))))
    position = {made: n for n, step in enumerate(plan.steps) for made in step.makes}
    new = [step for step in own if step.id not in known]
    if new:
        connection.execute(insert(steps), [_row(step, plan.episode, position[step.makes[0]]) for step in new])
        for table, side in ((step_needs, "needs"), (step_makes, "makes")):
            if rows := [{"step": step.id, "artifact": digest} for step in new for digest in set(getattr(step, side))]:
                connection.execute(insert(table), rows)
    # Whoever submits again has looked at the failure: what is not running starts afresh.
    again = update(steps).where(steps.c.id.in_(known))
    connection.execute(again.where(steps.c.state != "running").values(state="waiting", **AFRESH))
    connection.execute(again.where(steps.c.state == "running").values(attempts=1, vanished=0))


def _row(step: Step, episode: str, position: int) -> dict[str, Any]:
    return {
        "id": step.id,
        "episode": episode,
        "lane": step.lane,
        "body": to_data(step),
        "memory": step.memory,
        "state": "waiting",
        "latest_start": 0.0,
        "position": position,
    }


def _keys(
    own: Iterable[Step], todo: Iterable[Step], others: dict[str, str], *, deadline: float | None, submitted_at: float
) -> dict[str, float]:
    """The sort key that this plan gives to each step that it waits for, its own or another plan's."""
    waited = [(step.id, step) for step in own]
    waited += [(others[made], step) for step in todo for made in step.makes if made in others]
    keys: dict[str, float] = {}
    for id_, step in waited:
        key = latest_start(step, deadline=deadline, submitted_at=submitted_at)
        keys[id_] = min(key, keys.get(id_, key))
    return keys


def _keep_wants(connection: Connection, episode: str, before: frozenset[str], keys: dict[str, float]) -> None:
    """The new plan's keys instead of the old one's; each step then has the most urgent key that anyone gives it."""
    connection.execute(delete(wants).where(wants.c.episode == episode))
    if keys:
        rows = [{"episode": episode, "step": step, "latest_start": key} for step, key in keys.items()]
        connection.execute(insert(wants), rows)
    rekey(connection, before | set(keys))
    # What only this episode's last plan wanted is not begun any more.
    idle = steps.c.state.in_(("waiting", "ready", "failed", "quarantined"))
    connection.execute(
        update(steps).where(steps.c.id.in_(before - set(keys)), idle, ~exists(_wanting())).values(state="dropped")
    )


def rekey(connection: Connection, which: Collection[str]) -> None:
    """Give each of those steps, which are locked, the most urgent key that any episode gives it."""
    connection.execute(
        update(steps)
        .where(steps.c.id.in_(which), exists(_wanting()))
        .values(latest_start=_wanting(func.min(wants.c.latest_start)).scalar_subquery())
    )


def _wanting(column: Any = wants.c.step) -> Select[Any]:
    return select(column).where(wants.c.step == steps.c.id)

"""
A plan comes in: only what is missing becomes rows, and nothing that is already being made is made twice.

Submitting the same plan again is how an episode is resumed after a failure, moved to another deadline, or left alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Update,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from pipelines.plan import Plan, fall_back, missing
from pipelines.step import Step
from pipelines.wire import from_data, to_data
from workers.ledger.database import Database, pass_gate
from workers.ledger.schema import artifacts, episodes, now, plans, releases, step_makes, step_needs, steps, wants
from workers.ledger.tracing import trace_of
from workers.ledger.urgency import latest_start

LIVE = ("waiting", "ready", "running")
#: A step that starts as if nothing had happened to it.
AFRESH = {"error": None, "attempts": 0, "vanished": 0, "not_before": 0.0, "failed_on": None, "elsewhere_until": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a plan costs now."""

    #: The plan that counts: what was handed in, less what was given up for the same release.
    plan: Plan
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
            due = deadline.timestamp() if deadline else None
            return take_in(connection, _kept(connection, plan, due), due)

    def submit_once(self, plan: Plan, *, deadline: datetime | None) -> Submitted | None:
        """The same, unless `plan` is what its episode is to become by that deadline already: then None, untouched."""
        due = deadline.timestamp() if deadline else None
        with self._write() as connection:
            pass_gate(connection)
            plan = _kept(connection, plan, due)
            if _is_current(connection, plan, due):
                return None
            return take_in(connection, plan, due)


def take_in(connection: Connection, plan: Plan, due: float | None, *, again: bool = True) -> Submitted:
    """
    Make `plan` the one that its episode waits for. The gate is passed alone.

    Steps that failed get another chance, unless nobody has looked at the failure (not `again`).
    """
    makes = {made for step in plan.steps for made in step.makes}
    existing = frozenset(connection.scalars(select(artifacts.c.digest).where(artifacts.c.digest.in_(makes))))
    spare(connection, existing)
    todo = missing(plan, set(existing))
    others = _made_by_others(connection, plan.episode, todo)
    own = missing(plan, set(existing) | set(others))
    at = connection.execute(select(now())).scalar_one()
    keys = _keys(own, todo, others, deadline=due, submitted_at=at)
    before = frozenset(connection.scalars(select(wants.c.step).where(wants.c.episode == plan.episode)))
    lock(connection, steps.c.id.in_(before | set(keys)))
    _keep_plan(connection, plan, due, at)
    _keep_steps(connection, plan, own, again=again)
    _keep_wants(connection, plan.episode, before, keys)
    connection.execute(settled().where(steps.c.id.in_([step.id for step in own])))
    return Submitted(plan=plan, steps=own, existing=existing, trace=trace_of(plan.episode, at))


def current_plan(connection: Connection, episode: str) -> Row[Any, Any] | None:
    """The plan that an episode waits for, and its deadline; None if it has none."""
    last = (episodes.c.id == plans.c.episode) & (episodes.c.version == plans.c.version)
    query = select(plans.c.plan, episodes.c.deadline).join(episodes, last).where(episodes.c.id == episode)
    return connection.execute(query).first()


def _kept(connection: Connection, plan: Plan, due: float | None) -> Plan:
    """
    `plan`, less what its episode has given up for a release that is still armed, if `due` is still when it is due.

    Whoever submits again does not undo that; another release time does, and so does a delivery without that fallback.
    """
    armed = select(releases.c.at).where(releases.c.episode == plan.episode)
    row, at = current_plan(connection, plan.episode), connection.execute(armed).scalar()
    # Operators may have moved either: the deadline that work is ordered by, or the release.
    if row is None or at is None or due not in (at, row.deadline):
        return plan
    declared = {fallback.name: fallback for fallback in plan.fallbacks}
    for name in row.plan.get("given_up", ()):
        if name in declared:
            plan = fall_back(plan, declared[name])
    return plan


def spare(connection: Connection, digests: Collection[str]) -> None:
    """Have nothing of this collected: it is needed, again or still. Only for who has passed the gate."""
    doomed = (artifacts.c.digest.in_(digests), artifacts.c.doomed_at.is_not(None))
    connection.execute(update(artifacts).where(*doomed).values(doomed_at=None))


def _is_current(connection: Connection, plan: Plan, due: float | None) -> bool:
    """Whether this very plan, its edges included, is what its episode waits for by that deadline."""
    row = current_plan(connection, plan.episode)
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


def _made_by_others(connection: Connection, episode: str, todo: Iterable[Step]) -> dict[str, str]:
    """
    Artifacts of `todo` that live steps, which are not of `todo` themselves, are about to make; by which step.

    What only this episode's last plan wanted does not count unless it runs: it is not begun any more.
    """
    todo = tuple(todo)
    theirs = exists(select(wants.c.step).where(wants.c.step == steps.c.id, wants.c.episode != episode))
    query = (
        select(step_makes.c.artifact, step_makes.c.step)
        .join(steps, steps.c.id == step_makes.c.step)
        .where(
            step_makes.c.artifact.in_([made for step in todo for made in step.makes]),
            steps.c.state.in_(LIVE),
            steps.c.id.not_in([step.id for step in todo]),
            or_(steps.c.state == "running", theirs),
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


def _keep_steps(connection: Connection, plan: Plan, own: tuple[Step, ...], *, again: bool) -> None:
    """Rows for steps that have none; another chance for those whose output is gone and, `again`, those that failed."""
    bodies = select(steps.c.id, steps.c.body).where(steps.c.id.in_([step.id for step in own]))
    known = {row.id: row.body for row in connection.execute(bodies)}
    position = {made: n for n, step in enumerate(plan.steps) for made in step.makes}
    new = [step for step in own if step.id not in known]
    if new:
        connection.execute(insert(steps), [_row(step, plan.episode, position[step.makes[0]]) for step in new])
        _tie(connection, step_makes, {step.id: step.makes for step in new})
        _tie(connection, step_needs, {step.id: step.needs for step in new})
    otherwise = [step for step in own if step.id in known and known[step.id] != to_data(step)]
    _change(connection, otherwise)
    # Whoever submits again has looked at the failure: what is not running starts afresh.
    idle = steps.c.state != "running" if again else steps.c.state.in_(("done", "dropped"))
    connection.execute(update(steps).where(steps.c.id.in_(known), idle).values(state="waiting", **AFRESH))
    if again:
        running = update(steps).where(steps.c.id.in_(known), steps.c.state == "running")
        connection.execute(running.values(attempts=1, vanished=0))


def _change(connection: Connection, otherwise: Collection[Step]) -> None:
    """
    Have steps that do not run made as they are now: an edition that follows another one is warmed after that one.

    They make the same, but may need something else, which they then wait for.
    """
    ids = [step.id for step in otherwise]
    running = set(connection.scalars(select(steps.c.id).where(steps.c.id.in_(ids), steps.c.state == "running")))
    for step in otherwise:
        if step.id not in running:
            connection.execute(update(steps).where(steps.c.id == step.id).values(body=to_data(step)))
    idle = {step.id: step.needs for step in otherwise if step.id not in running}
    connection.execute(delete(step_needs).where(step_needs.c.step.in_(idle)))
    _tie(connection, step_needs, idle)
    connection.execute(update(steps).where(steps.c.id.in_(idle), steps.c.state == "ready").values(state="waiting"))


def _tie(connection: Connection, table: Table, ends: Mapping[str, Iterable[str]]) -> None:
    rows = [{"step": step, "artifact": digest} for step, digests in ends.items() for digest in set(digests)]
    if rows:
        connection.execute(insert(table), rows)


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

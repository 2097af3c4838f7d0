"""
What operators do to work: hold a host or a lane, give what failed another chance, hurry an episode, or call it off.

Whatever changes steps passes the gate alone, as a submission does: no commit or submission happens meanwhile.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, or_, select, update

from pipelines.errors import ConfigurationError
from pipelines.plan import Plan
from pipelines.step import Lane, Step
from pipelines.wire import from_data
from presets.document import nearest
from workers.ledger.acts import By, note
from workers.ledger.database import Database, insert_new, pass_gate
from workers.ledger.schema import episodes, hosts, now, pauses, plans, releases, step_makes, steps, wants
from workers.ledger.submit import AFRESH, LIVE, lock, rekey, settled
from workers.ledger.urgency import latest_start
from workers.ledger.views import unknown
from workers.ledger.work import FREED

FAILED = ("failed", "quarantined")

#: Who calls an episode off, if nobody says who.
CANCELLING = By(who="operator", action="cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host that has, or had, slots."""

    host: str
    #: How many slots of each class; empty when its workers are stopped.
    slots: Mapping[str, int]
    #: It claims nothing.
    drained: bool
    #: Bytes that its steps may reserve together, and have reserved.
    memory: int
    reserved: int
    #: How many steps run there.
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """The steps of a lane, by state."""

    lane: Lane
    #: Nobody claims from it.
    paused: bool
    ready: int
    running: int
    #: Also those that are quarantined.
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What calling an episode off does, by step."""

    #: Not begun any more.
    dropped: tuple[str, ...]
    #: Running; stopped when their holder next renews its lease.
    stopped: tuple[str, ...]
    #: Go on, because other episodes want them too.
    shared: tuple[str, ...]
    #: Whether a release was to come.
    disarmed: bool


class Operations(Database):
    """Levers."""

    def hosts(self) -> tuple[HostView, ...]:
        """All hosts that ever had slots, by name."""
        running = (steps.c.state == "running") & (steps.c.host == hosts.c.host)
        held = (func.count(steps.c.id).label("running"), func.coalesce(func.sum(steps.c.memory), 0).label("reserved"))
        grouped = select(hosts.c.host, *held).outerjoin(steps, running).group_by(hosts.c.host).subquery()
        query = select(hosts, grouped.c.running, grouped.c.reserved).join(grouped, grouped.c.host == hosts.c.host)
        with self._read() as connection:
            return tuple(
                HostView(
                    host=row.host,
                    slots=row.slots,
                    drained=row.drained,
                    memory=row.memory,
                    reserved=int(row.reserved),
                    running=row.running,
                )
                for row in connection.execute(query.order_by(hosts.c.host))
            )

    def lanes(self) -> tuple[LaneView, ...]:
        """Every lane, and how much is in it."""
        states = ("ready", "running", *FAILED)
        counted = select(steps.c.lane, steps.c.state, func.count().label("number")).where(steps.c.state.in_(states))
        with self._read() as connection:
            paused = set(connection.scalars(select(pauses.c.lane)))
            number = Counter[tuple[str, str]]()
            for row in connection.execute(counted.group_by(steps.c.lane, steps.c.state)):
                number[row.lane, row.state] = row.number
        return tuple(
            LaneView(
                lane=lane,
                paused=lane in paused,
                ready=number[lane, "ready"],
                running=number[lane, "running"],
                failed=sum(number[lane, state] for state in FAILED),
            )
            for lane in get_args(Lane)
        )

    def whereabouts(self, what: str) -> Mapping[str, frozenset[str]]:
        """
        The steps that `what` means, one by its id or those of an episode; by id, the hosts that last had it, or failed.
        """
        meant = or_(steps.c.id == what, steps.c.episode == what, steps.c.id.in_(_wanted(what)))
        with self._read() as connection:
            rows = connection.execute(select(steps.c.id, steps.c.host, steps.c.failed_on).where(meant)).all()
        return {row.id: frozenset(filter(None, (row.host, row.failed_on))) for row in rows}

    def drain(self, host: str, *, drained: bool) -> HostView:
        """Have a host claim nothing more, or again; how it is then. Raises `ConfigurationError` for an unknown one."""
        with self._write() as connection:
            changed = connection.execute(update(hosts).where(hosts.c.host == host).values(drained=drained)).rowcount
        found = {view.host: view for view in self.hosts()}
        if not changed:
            meant = nearest(host, sorted(found))
            hint = f"Did you mean `{meant}`?" if meant else "`avant status` lists the hosts that had slots."
            raise ConfigurationError(f"There is no host `{host}`.", hint=hint)
        return found[host]

    def pause_lane(self, lane: Lane, *, paused: bool) -> None:
        """Have nobody claim from a lane, or let them again."""
        with self._write() as connection:
            if paused:
                connection.execute(
                    insert_new(connection, pauses).values(lane=lane, paused_at=now()).on_conflict_do_nothing()
                )
            else:
                connection.execute(delete(pauses).where(pauses.c.lane == lane))

    def retry(self, episode: str, step: str | None = None) -> tuple[str, ...]:
        """
        Give what failed of an episode, or that step (its id or label), another chance, now and as if it were the first.

        What waits after a failure does not wait any longer. The ids of those steps; raises `ConfigurationError` if
        there is no such episode or step.
        """
        put_off = (steps.c.state == "ready") & or_(steps.c.not_before > now(), steps.c.elsewhere_until > now())
        with self._write() as connection:
            pass_gate(connection)
            _known(connection, episode)
            lock(connection, steps.c.id.in_(_wanted(episode)))
            query = select(steps.c.id, steps.c.body).where(steps.c.id.in_(_wanted(episode)))
            found = connection.execute(query.where(or_(steps.c.state.in_(FAILED), put_off))).all()
            again = tuple(row.id for row in found if step is None or step in (row.id, row.body["label"]))
            if step is not None and not again:
                raise ConfigurationError(
                    f"No step `{step}` of `{episode}` has failed.", hint=f"`avant status {episode}` lists its steps."
                )
            connection.execute(update(steps).where(steps.c.id.in_(again)).values(state="waiting", **AFRESH))
            connection.execute(settled().where(steps.c.id.in_(again)))
        return again

    def cancel(self, episode: str, *, dry_run: bool = False, by: By = CANCELLING) -> Cancelled:
        """
        Call an episode off: begin nothing more for it alone, stop what runs for it alone, release it not.

        What is published or released stays; the trail tells of a release that was disarmed. With `dry_run` nothing is
        changed. Raises `ConfigurationError` if there is no such episode.
        """
        with self._write() as connection:
            pass_gate(connection)
            _known(connection, episode)
            armed = select(releases.c.wall).where(releases.c.episode == episode).with_for_update()
            wall = connection.execute(armed).scalar()
            disarmed = wall is not None
            wanted = lock(connection, steps.c.id.in_(_wanted(episode)))
            found = _alone(connection, episode, wanted, disarmed=disarmed)
            if not dry_run:
                if disarmed:
                    note(connection, episode, by, before={"wall": wall}, after={"wall": ""})
                _call_off(connection, episode, found)
        return found

    def bump(self, episode: str, deadline: datetime | None) -> int:
        """
        Have an episode made by another deadline; with None, before everything else there is now. How many steps move.

        When it is released is another matter. Raises `ConfigurationError` if there is no such episode.
        """
        with self._write() as connection:
            pass_gate(connection)
            row = _known(connection, episode)
            wanted = lock(connection, steps.c.id.in_(_wanted(episode)))
            due = deadline.timestamp() if deadline else _first(connection, wanted)
            if deadline:
                connection.execute(update(episodes).where(episodes.c.id == episode).values(deadline=due))
            keys = _keys(connection, row, wanted, due)
            ours = (wants.c.episode == episode) & (wants.c.step == bindparam("id"))
            for step, key in keys.items():
                connection.execute(update(wants).where(ours).values(latest_start=key), {"id": step})
            rekey(connection, wanted)
            open_ = select(func.count()).where(steps.c.id.in_(wanted), steps.c.state.in_((*LIVE, *FAILED)))
            return connection.execute(open_).scalar_one()


def _known(connection: Connection, episode: str) -> Row[Any]:
    row = connection.execute(select(episodes).where(episodes.c.id == episode)).first()
    if row is None:
        raise unknown(connection, episode)
    return row


def _wanted(episode: str) -> Any:
    return select(wants.c.step).where(wants.c.episode == episode)


def _alone(connection: Connection, episode: str, wanted: Collection[str], *, disarmed: bool) -> Cancelled:
    """What becomes of each unfinished step, which is locked, when the episode wants it no more."""
    others = exists(select(wants.c.step).where(wants.c.step == steps.c.id, wants.c.episode != episode))
    query = select(steps.c.id, steps.c.state, others.label("shared"))
    rows = connection.execute(
        query.where(steps.c.id.in_(wanted), steps.c.state.in_((*LIVE, *FAILED))).order_by(steps.c.id)
    ).all()
    return Cancelled(
        dropped=tuple(row.id for row in rows if not row.shared and row.state != "running"),
        stopped=tuple(row.id for row in rows if not row.shared and row.state == "running"),
        shared=tuple(row.id for row in rows if row.shared),
        disarmed=disarmed,
    )


def _call_off(connection: Connection, episode: str, found: Cancelled) -> None:
    connection.execute(delete(releases).where(releases.c.episode == episode))
    connection.execute(update(episodes).where(episodes.c.id == episode).values(cancelled_at=now()))
    connection.execute(delete(wants).where(wants.c.episode == episode))
    # Its token stays, so whoever holds such a step can neither renew it nor commit.
    ended = update(steps).where(steps.c.id.in_((*found.dropped, *found.stopped)))
    connection.execute(ended.values(state="dropped", **FREED))
    rekey(connection, found.shared)


def _first(connection: Connection, wanted: Collection[str]) -> float:
    """A deadline that puts the MUST of an episode before everything that is not finished."""
    others = select(func.min(steps.c.latest_start)).where(steps.c.state.in_(LIVE), steps.c.id.not_in(wanted))
    soonest = connection.execute(others).scalar()
    clock: float = connection.execute(select(now())).scalar_one()
    return min(clock, soonest if soonest is not None else clock) - 1.0


def _keys(connection: Connection, episode: Row[Any], wanted: Collection[str], due: float) -> Mapping[str, float]:
    """The sort key of each wanted step: that of the plan's most urgent step which makes any of the same."""
    stored = select(plans.c.plan).where(plans.c.episode == episode.id, plans.c.version == episode.version)
    of: dict[str, Step] = {
        made: step for step in from_data(Plan, connection.execute(stored).scalar_one()).steps for made in step.makes
    }
    keys = defaultdict[str, list[float]](list)
    for row in connection.execute(select(step_makes).where(step_makes.c.step.in_(wanted))):
        if row.artifact in of:
            key = latest_start(of[row.artifact], deadline=due, submitted_at=episode.submitted_at)
            keys[row.step].append(key)
    return {step: min(each) for step, each in keys.items()}

"""
Steps out: claimed under a lease, renewed, committed, failed, handed back, or taken from a holder that fell silent.

Every change is one transaction that names the token of the claim; a holder whose token is not the last one changes
nothing. When a step is committed, whatever waited only for it is ready in the same transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select, union_all, update

from pipelines.artifact import Artifact
from pipelines.errors import AvantError, ConfigurationError, Interrupted
from pipelines.plan import Lane, Step
from pipelines.wire import from_data
from workers.ledger.database import Database, insert_new, pass_gate
from workers.ledger.migrate import HEAD, unknown
from workers.ledger.retry import VANISHED, pause
from workers.ledger.schema import artifacts, farm, hosts, now, revision, step_needs, steps
from workers.ledger.submit import lock, settled

#: What goes first.
URGENCY = (steps.c.latest_start, steps.c.position)
#: So many of a lane's first steps are looked at: more than hosts ever claim from one lane in the same millisecond.
CLAIMERS = 32
FREED = {"worker": None, "host": None, "lease_until": None, "progress": 0.0}
#: An error's message may quote a file; a row is no place for one. Characters.
LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A step that is ours until the lease runs out."""

    step: Step
    token: int
    episode: str
    #: The committed artifacts that the step needs, by digest.
    inputs: Mapping[str, Artifact]
    #: Counted from one.
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a step that failed."""

    #: Seconds until it may be tried again; None: it has failed for good.
    pause: float | None


class Work(Database):
    """Steps out, and what comes of them."""

    def enrol(self, host: str, *, memory: int, slots: Iterable[str]) -> None:
        """Say what a host has: bytes that its steps may reserve together, and the class of each slot."""
        row = {"memory": memory, "slots": dict(Counter(slots))}
        with self._write() as connection:
            enrolled = insert_new(connection, hosts).values(host=host, **row)
            connection.execute(enrolled.on_conflict_do_update(index_elements=[hosts.c.host], set_=row))

    def claim(self, lanes: Iterable[Lane], *, worker: str, host: str, lease_seconds: float) -> Claim | None:
        """
        The most urgent ready step of these lanes, ours for `lease_seconds`.

        None if there is none, or if the host has no memory left for it now: nothing less urgent overtakes it, or small
        steps would keep a large one from starting for ever.
        """
        with self._write() as connection:
            room = _room(connection, host)
            head = _most_urgent(connection, lanes)
            if head is None or not room.holds(head.memory):
                return None
            token = max(head.token, room.epoch) + 1
            mine = {"state": "running", "worker": worker, "host": host, "started_at": now(), "progress": 0.0}
            connection.execute(
                update(steps)
                .where(steps.c.id == head.id)
                .values(
                    **mine,
                    token=token,
                    attempts=head.attempts + 1,
                    lease_until=now() + lease_seconds,
                    finished_at=None,
                )
            )
            inputs = _inputs(connection, head.id)
        step = from_data(Step, head.body)
        return Claim(step=step, token=token, episode=head.episode, inputs=inputs, attempt=head.attempts + 1)

    def renew(self, step: str, token: int, *, progress: float, lease_seconds: float) -> bool:
        """Hold a step for `lease_seconds` from now. False: it is not ours any more."""
        with self._write() as connection:
            values = {"lease_until": now() + lease_seconds, "progress": progress}
            held = (*_held(step, token), steps.c.lease_until > now())
            return connection.execute(update(steps).where(*held).values(values)).rowcount == 1

    def commit(self, step: str, token: int, made: Iterable[Artifact]) -> Mapping[Lane, int]:
        """
        Record what a step made, and make ready what waited for it; how many in each lane.

        An artifact that is recorded already stays as it is. Raises `Interrupted` if the step is not ours any more.
        """
        made = tuple(made)
        with self._write() as connection:
            pass_gate(connection, alone=False)
            _end(connection, step, token, {"state": "done", "progress": 1.0, "error": None})
            _record(connection, step, token, made)
            waiting = select(step_needs.c.step).where(step_needs.c.artifact.in_([a.digest for a in made]))
            # Of two commits that each bring half of what a step waits for, the second waits here for the first, and
            # its next query sees the first's half.
            dependants = lock(connection, steps.c.id.in_(waiting), steps.c.state == "waiting")
            if not dependants:
                return {}
            ready = settled().where(steps.c.id.in_(dependants)).returning(steps.c.lane)
            return Counter(connection.scalars(ready).all())

    def fail(self, step: str, token: int, error: Exception) -> Verdict:
        """Record that a step failed. Raises `Interrupted` if it is not ours any more."""
        with self._write() as connection:
            counts = connection.execute(select(steps.c.attempts, steps.c.vanished).where(*_held(step, token))).first()
            faults = counts.attempts - counts.vanished if counts else 1
            wait = pause(error, faults)
            again = {"state": "failed"} if wait is None else {"state": "ready", "not_before": now() + wait, **FREED}
            _end(connection, step, token, {**again, "error": _told(error)})
        return Verdict(pause=wait)

    def hand_back(self, step: str, token: int) -> None:
        """Give up a step that nothing is wrong with; the attempt does not count. Not ours any more: nothing happens."""
        with self._write() as connection:
            values = {"state": "ready", "attempts": steps.c.attempts - 1, **FREED}
            connection.execute(update(steps).where(*_held(step, token)).values(values))

    def expire(self) -> int:
        """Take every step whose lease has run out from its holder. Returns how many."""
        late = select(steps.c.id).where(steps.c.state == "running", steps.c.lease_until < now())
        with self._write() as connection:
            # Whoever holds such a row is taking it or ending it: the next look will tell.
            found = connection.scalars(late.order_by(steps.c.id).with_for_update(skip_locked=True)).all()
            return len(_vanish(connection, found))

    def bury(self, worker: str) -> tuple[tuple[str, int], ...]:
        """
        Take the steps of a worker that is known to be dead, without waiting for its lease; their ids and tokens.

        Only for who has reaped the process: its tools died with it, and nothing of it can still write.
        """
        with self._write() as connection:
            return _vanish(connection, lock(connection, steps.c.state == "running", steps.c.worker == worker))

    def take_over(self, host: str) -> int:
        """
        Take all steps of a host on which nothing runs any more; how many. The attempts do not count.

        Whatever ended all its workers at once, a power cut or an operator, was not the steps' doing.
        """
        with self._write() as connection:
            values = {"state": "ready", "attempts": steps.c.attempts - 1, **FREED}
            held = lock(connection, steps.c.state == "running", steps.c.host == host)
            return connection.execute(update(steps).where(steps.c.id.in_(held)).values(values)).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """A host's memory, in bytes; and above which number its next token is."""

    total: int
    reserved: int
    epoch: int

    def holds(self, memory: int) -> bool:
        """A step larger than the host gets it for itself: the estimate may be wrong, waiting for ever is."""
        return self.reserved == 0 or self.reserved + memory <= self.total


def _room(connection: Connection, host: str) -> _Room:
    """
    What the host has left. Its row is locked: claims of one host take turns.

    Or else, while one of them looks at a step that is too large for now, another would pass over it to a smaller one.
    """
    schema = select(revision.c.version_num).scalar_subquery().label("schema")
    epoch = select(farm.c.epoch).scalar_subquery().label("epoch")
    query = select(hosts.c.memory, schema, epoch).where(hosts.c.host == host)
    found = connection.execute(query.with_for_update(of=hosts)).first()
    if found is None:
        raise ConfigurationError(f"Host `{host}` is not in the ledger.", hint="Start its workers with `avant run`.")
    if found.schema != HEAD:
        raise unknown(found.schema)
    running = select(func.coalesce(func.sum(steps.c.memory), 0))
    reserved = connection.execute(running.where(steps.c.state == "running", steps.c.host == host)).scalar_one()
    return _Room(total=int(found.memory), reserved=int(reserved), epoch=found.epoch)


def _most_urgent(connection: Connection, lanes: Iterable[Lane]) -> Row[Any] | None:
    """
    The step to take, which nobody else is taking at this moment; it alone is locked.

    The first of each lane come from the index without a lock. To lock each lane's first would make other hosts pass
    over what we don't take in the end.
    """
    now_ready = (steps.c.state == "ready", steps.c.not_before <= now())
    firsts = [
        select(select(steps.c.id).where(*now_ready, steps.c.lane == lane).order_by(*URGENCY).limit(CLAIMERS).subquery())
        for lane in lanes
    ]
    # Of rows that others hold, the next one is looked at. SQLite, which has one writer at a time, leaves this out.
    query = select(steps).where(steps.c.id.in_(union_all(*firsts)), *now_ready).order_by(*URGENCY).limit(1)
    return connection.execute(query.with_for_update(skip_locked=True)).first()


def _inputs(connection: Connection, step: str) -> dict[str, Artifact]:
    query = select(artifacts).join(step_needs, step_needs.c.artifact == artifacts.c.digest)
    rows = connection.execute(query.where(step_needs.c.step == step))
    return {row.digest: artifact(row) for row in rows}


def artifact(row: Row[Any]) -> Artifact:
    """The artifact that a row of `artifacts` stands for."""
    return Artifact(digest=row.digest, kind=row.kind, key=row.key, size=row.size, sha256=row.sha256, facts=row.facts)


def _record(connection: Connection, step: str, token: int, made: tuple[Artifact, ...]) -> None:
    """Rows for artifacts that have none; in the order of their digests, as everybody inserts them."""
    rows = [_row(artifact, step, token) for artifact in sorted(made, key=lambda each: each.digest)]
    if rows:
        connection.execute(insert_new(connection, artifacts).values(committed_at=now()).on_conflict_do_nothing(), rows)


def _row(made: Artifact, step: str, token: int) -> dict[str, Any]:
    values = {"digest": made.digest, "kind": made.kind, "key": made.key, "size": made.size, "sha256": made.sha256}
    return {**values, "facts": dict(made.facts), "step": step, "token": token}


def _held(step: str, token: int) -> tuple[ColumnElement[bool], ...]:
    return (steps.c.id == step, steps.c.token == token, steps.c.state == "running")


def _end(connection: Connection, step: str, token: int, values: Mapping[str, Any]) -> None:
    ended = update(steps).where(*_held(step, token)).values({"finished_at": now(), "lease_until": None, **values})
    if not connection.execute(ended).rowcount:
        raise Interrupted(f"Step {step} was taken from its holder: its lease ran out.")


def _vanish(connection: Connection, held: Collection[str]) -> tuple[tuple[str, int], ...]:
    """Take locked steps from holders that fell silent: ready again, or suspected after too many."""
    if not held:
        return ()
    suspected = steps.c.vanished + 1 >= VANISHED
    taken = connection.execute(
        update(steps)
        .where(steps.c.id.in_(held))
        .values(state=case((suspected, "quarantined"), else_="ready"), vanished=steps.c.vanished + 1, **FREED)
        .returning(steps.c.id, steps.c.token, steps.c.state)
    ).all()
    if dangerous := [row.id for row in taken if row.state == "quarantined"]:
        connection.execute(update(steps).where(steps.c.id.in_(dangerous)).values(error=_told(_quarantine())))
    return tuple((row.id, row.token) for row in taken)


def _quarantine() -> AvantError:
    return AvantError(
        f"{VANISHED} workers vanished while they worked on it.",
        hint="Look into the workers' logs and the host's memory; submit the episode again to try once more.",
    )


def _told(error: Exception) -> dict[str, Any]:
    hint, retryable = (error.hint, error.retryable) if isinstance(error, AvantError) else ("", False)
    message = str(error)[:LONGEST_MESSAGE]
    return {"class": type(error).__name__, "message": message, "hint": hint, "retryable": retryable}

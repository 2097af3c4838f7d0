"""
Steps out: claimed under a lease, renewed, committed, failed, handed back, or taken from a holder that fell silent.

Every change is one transaction that names the token of the claim; a holder whose token is not the last one changes
nothing. When a step is committed, whatever waited only for it is ready in the same transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, bindparam, case, cast, select, update

from pipelines.artifact import Artifact
from pipelines.errors import AvantError, HostError, Interrupted, ToolError
from pipelines.step import Lane, Step
from pipelines.wire import from_data
from workers.ledger.database import Database, insert_new, passed
from workers.ledger.retry import ELSEWHERE, VANISHED, pause
from workers.ledger.schema import artifacts, hosts, now, step_needs, steps
from workers.ledger.submit import lock, locking, settled
from workers.ledger.taking import Taker, take
from workers.ledger.tracing import asked, trace_of
from workers.ledger.urgency import BULK

FREED = {"worker": None, "host": None, "lease_until": None, "progress": 0.0}
#: The queries of a commit, built once: like claims, commits are what a farm does most.
ENDED = (
    update(steps)
    .where(steps.c.id == bindparam("step"), steps.c.token == bindparam("held"), steps.c.state == "running", passed())
    .values(state="done", progress=1.0, error=None, finished_at=now(), lease_until=None)
)
DEPENDANTS = locking(
    steps.c.id.in_(select(step_needs.c.step).where(step_needs.c.artifact.in_(bindparam("made", expanding=True)))),
    steps.c.state == "waiting",
)
READY = settled().where(steps.c.id.in_(bindparam("dependants", expanding=True))).returning(steps.c.lane)
FAILING = select(
    steps.c.attempts,
    steps.c.vanished,
    steps.c.host,
    steps.c.latest_start,
    (steps.c.latest_start - now()).label("slack"),
).where(steps.c.id == bindparam("step"), steps.c.token == bindparam("held"), steps.c.state == "running")
#: Other hosts that have slots, one of which may do better.
OTHERS = (
    select(hosts.c.host)
    .where(hosts.c.host != bindparam("host"), ~hosts.c.drained, cast(hosts.c.slots, Text) != "{}")
    .limit(1)
)
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
    #: Of the submission that asked for it.
    trace: str
    #: How often what it makes was made before, and collected.
    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that was taken from a holder that fell silent or died."""

    step: str
    token: int
    episode: str
    trace: str
    label: str
    #: Who held it.
    worker: str
    host: str
    #: Claims so far that count.
    attempts: int
    #: Whether it is suspected of killing its holders, and begun no more.
    quarantined: bool

    @property
    def kind(self) -> str:
        """What kind of step it is, which its id begins with."""
        return self.step.partition("-")[0]


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
            taker = Taker(worker=worker, host=host, lease_seconds=lease_seconds)
            taken = take(connection, tuple(lanes), taker)
            if taken is None:
                return None
            inputs = _inputs(connection, taken.body["needs"])
        return Claim(
            step=from_data(Step, taken.body),  # when the host's other slots wait no more
            token=taken.token,
            episode=taken.episode,
            inputs=inputs,
            attempt=taken.attempts,
            trace=trace_of(taken.episode, taken.submitted_at),
            life=taken.life,
        )

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
            if not connection.execute(ENDED, {"step": step, "held": token}).rowcount:
                raise _taken(step)
            _record(connection, step, token, made)
            digests = [artifact.digest for artifact in made]
            # Of two commits that each bring half of what a step waits for, the second waits here for the first, and
            # its next query sees the first's half.
            dependants = connection.scalars(DEPENDANTS, {"made": digests}).all()
            return Counter(connection.scalars(READY, {"dependants": dependants})) if dependants else {}

    def fail(self, step: str, token: int, error: Exception) -> Verdict:
        """Record that a step failed. Raises `Interrupted` if it is not ours any more."""
        with self._write() as connection:
            row = connection.execute(FAILING, {"step": step, "held": token}).first()
            if row is None:
                raise _taken(step)
            wait = pause(error, row.attempts - row.vanished, row.slack if row.latest_start < BULK else 0.0)
            again = {"state": "failed"} if wait is None else {"state": "ready", "not_before": now() + wait, **FREED}
            if isinstance(error, ToolError):
                others = connection.execute(OTHERS, {"host": row.host}).first()
                again |= {"failed_on": row.host, "elsewhere_until": now() + (ELSEWHERE if others else 0.0)}
            _end(connection, step, token, {**again, "error": _told(error)})
        return Verdict(pause=wait)

    def hand_back(self, step: str, token: int) -> None:
        """Give up a step that nothing is wrong with; the attempt does not count. Not ours any more: nothing happens."""
        with self._write() as connection:
            values = {"state": "ready", "attempts": steps.c.attempts - 1, **FREED}
            connection.execute(update(steps).where(*_held(step, token)).values(values))

    def expire(self, *, limit: int = VANISHED) -> tuple[Taken, ...]:
        """Take every step whose lease has run out from its holder; set aside what `limit` holders vanished from."""
        late = select(steps.c.id).where(steps.c.state == "running", steps.c.lease_until < now())
        with self._write() as connection:
            # Whoever holds such a row is taking it or ending it: the next look will tell.
            found = connection.scalars(late.order_by(steps.c.id).with_for_update(skip_locked=True)).all()
            return _vanish(connection, found, limit)

    def bury(self, worker: str, *, limit: int = VANISHED) -> tuple[Taken, ...]:
        """
        Take the steps of a worker that is known to be dead, without waiting for its lease.

        Only for who has reaped the process: its tools died with it, and nothing of it can still write.
        """
        with self._write() as connection:
            held = lock(connection, steps.c.state == "running", steps.c.worker == worker)
            return _vanish(connection, held, limit)

    def take_over(self, host: str) -> int:
        """
        Take all steps of a host on which nothing runs any more; how many. The attempts do not count.

        Whatever ended all its workers at once, a power cut or an operator, was not the steps' doing.
        """
        with self._write() as connection:
            values = {"state": "ready", "attempts": steps.c.attempts - 1, **FREED}
            held = lock(connection, steps.c.state == "running", steps.c.host == host)
            return connection.execute(update(steps).where(steps.c.id.in_(held)).values(values)).rowcount


def _inputs(connection: Connection, needs: Collection[str]) -> dict[str, Artifact]:
    if not needs:
        return {}
    rows = connection.execute(select(artifacts).where(artifacts.c.digest.in_(needs)))
    return {row.digest: artifact(row) for row in rows}


def artifact(row: Row[Any]) -> Artifact:
    """The artifact that a row of `artifacts` stands for."""
    return Artifact(digest=row.digest, kind=row.kind, key=row.key, size=row.size, sha256=row.sha256, facts=row.facts)


def _record(connection: Connection, step: str, token: int, made: tuple[Artifact, ...]) -> None:
    """Rows for artifacts that have none; in the order of their digests, as everybody inserts them."""
    rows = [_row(artifact, step, token) for artifact in sorted(made, key=lambda each: each.digest)]
    new = insert_new(connection, artifacts).values(committed_at=now()).on_conflict_do_nothing()
    for row in rows:
        connection.execute(new, row)


def _row(made: Artifact, step: str, token: int) -> dict[str, Any]:
    values = {"digest": made.digest, "kind": made.kind, "key": made.key, "size": made.size, "sha256": made.sha256}
    return {**values, "facts": dict(made.facts), "step": step, "token": token}


def _held(step: str, token: int) -> tuple[ColumnElement[bool], ...]:
    return (steps.c.id == step, steps.c.token == token, steps.c.state == "running")


def _end(connection: Connection, step: str, token: int, values: Mapping[str, Any]) -> None:
    ended = update(steps).where(*_held(step, token)).values({"finished_at": now(), "lease_until": None, **values})
    if not connection.execute(ended).rowcount:
        raise _taken(step)


def _taken(step: str) -> Interrupted:
    return Interrupted(f"Step {step} was taken from its holder: its lease ran out.")


def _vanish(connection: Connection, held: Collection[str], limit: int) -> tuple[Taken, ...]:
    """Take locked steps from holders that fell silent: ready again, or suspected after too many."""
    if not held:
        return ()
    holders = select(steps.c.id, steps.c.worker, steps.c.host).where(steps.c.id.in_(held))
    before: dict[str, Any] = {row.id: row for row in connection.execute(holders)}
    suspected = steps.c.vanished + 1 >= limit
    taken = connection.execute(
        update(steps)
        .where(steps.c.id.in_(held))
        .values(state=case((suspected, "quarantined"), else_="ready"), vanished=steps.c.vanished + 1, **FREED)
        .returning(*(steps.c[name] for name in ("id", "token", "state", "episode", "attempts", "body")), asked())
    ).all()
    if dangerous := [row.id for row in taken if row.state == "quarantined"]:
        connection.execute(update(steps).where(steps.c.id.in_(dangerous)).values(error=_told(_quarantine(limit))))
    return tuple(_told_of(row, before[row.id]) for row in taken)


def _told_of(row: Row[Any], holder: Any) -> Taken:
    return Taken(
        step=row.id,
        token=row.token,
        episode=row.episode,
        trace=trace_of(row.episode, row.submitted_at),
        label=row.body["label"],
        worker=holder.worker,
        host=holder.host,
        attempts=row.attempts,
        quarantined=row.state == "quarantined",
    )


def _quarantine(limit: int) -> HostError:
    return HostError(
        f"{limit} workers vanished while they worked on it.",
        hint="Look into the workers' logs and the host's memory; then `avant retry` the episode.",
    )


def _told(error: Exception) -> dict[str, Any]:
    ours = error if isinstance(error, AvantError) else AvantError("")
    message = str(error)[:LONGEST_MESSAGE]
    told = {"hint": ours.hint, "retryable": ours.retryable, "who": ours.who}
    return {"class": type(error).__name__, "message": message, **told}

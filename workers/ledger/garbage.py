"""
Collection: what nobody needs is doomed, for a day; then it exists no more, and only then its bytes are deleted.

Existence is a row. A submission spares what it needs in its own transaction, alone at the gate; to collect is to be
alone at the gate too, and to look again. Bytes are deleted only of what exists no more: what is wanted again meanwhile
is made again, under another name, where no deletion that is under way can meet it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, delete, exists, insert, or_, select, update

from workers.ledger import pins
from workers.ledger.database import Database, pass_gate
from workers.ledger.pins import INTERMEDIATE
from workers.ledger.schema import artifacts, checks, graves, now, step_makes, steps
from workers.ledger.submit import lock, spare

Anything = TypeVar("Anything")

#: Rows to a transaction: a flip may wait for it, and must not notice.
BATCH = 200
#: What has bytes of its own. The `key` of evidence is that of its version.
STORED = (*INTERMEDIATE, "track", "version")
#: Of two that go together, what leans on the other goes first.
ORDER = ("warmth", "verification", "version", "track", *INTERMEDIATE)
#: Lives that are skipped when a ledger was restored: what it forgets may have been made again since the backup.
SKIPPED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """An artifact, as a collection looks at it."""

    digest: str
    kind: str
    key: str
    #: Bytes; evidence has none of its own.
    size: int
    #: Seconds since it was doomed.
    doomed: float | None
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Grave:
    """What exists no more, and is to be deleted."""

    id: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A step that is dropped, and may have begun to publish what it makes."""

    step: str
    token: int
    digest: str
    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Where a step is."""

    token: int
    running: bool


class Garbage(Database):
    """What can go, and what has gone."""

    def survey(self, *, keep: int, lifetime: timedelta) -> tuple[Existing, ...]:
        """All that exists, and whether anything needs it; versions as `pins` says."""
        told = (artifacts.c[name] for name in ("digest", "kind", "key", "size"))
        query = select(*told, (now() - artifacts.c.doomed_at).label("doomed"))
        with self._read() as connection:
            needed = pins.shown(connection, keep=keep, lifetime=lifetime)
            needed |= pins.planned(connection, keep=keep) | pins.working(connection)
            return tuple(
                Existing(
                    digest=row.digest,
                    kind=row.kind,
                    key=row.key,
                    size=row.size if row.kind in STORED else 0,
                    doomed=row.doomed,
                    pinned=row.digest in needed,
                )
                for row in connection.execute(query)
            )

    def spare(self, digests: Collection[str]) -> None:
        """These are needed after all."""
        for some in _batches(digests):
            with self._write() as connection:
                pass_gate(connection)
                spare(connection, some)

    def doom(self, digests: Collection[str]) -> None:
        """Nobody needs these. They exist all the same."""
        for some in _batches(digests):
            with self._write() as connection:
                pass_gate(connection)
                living = (artifacts.c.digest.in_(some), artifacts.c.doomed_at.is_(None))
                connection.execute(update(artifacts).where(*living).values(doomed_at=now()))

    def collect(
        self, digests: Iterable[Existing], *, since: timedelta, keep: int, lifetime: timedelta
    ) -> tuple[str, ...]:
        """
        Have those exist no more that were doomed `since` then or longer and that still nothing needs; their digests.

        What a survey found to be needed by no plan: a plan that came later has spared what it needs.
        """
        buried: list[str] = []
        for some in _batches(sorted(digests, key=lambda one: ORDER.index(one.kind))):
            with self._write() as connection:
                pass_gate(connection)
                needed = pins.shown(connection, keep=keep, lifetime=lifetime)
                buried += _bury(connection, some, needed, since.total_seconds())
        return tuple(buried)

    def forget_doomed(self) -> int:
        """
        Have nothing exist that was doomed when a backup was made, which a collection may have deleted since; how much.

        Nothing is deleted for it: what was spared since then may be what viewers get.
        """
        forgotten = 0
        with self._write() as connection:
            pass_gate(connection)
            for kind in ORDER:
                doomed = select(artifacts.c.digest).where(artifacts.c.kind == kind, artifacts.c.doomed_at.is_not(None))
                found = set(connection.scalars(doomed))
                gone = found - (set() if kind in INTERMEDIATE else pins.leaned_on(connection, found))
                _forget(connection, gone, lives=SKIPPED)
                forgotten += len(gone)
        return forgotten

    def begun(self) -> tuple[Begun, ...]:
        """Dropped steps that published something, perhaps, and never said so."""
        made = exists(select(artifacts.c.digest).where(artifacts.c.digest == step_makes.c.artifact))
        query = (
            select(steps.c.id, steps.c.token, steps.c.life, step_makes.c.artifact)
            .join(step_makes, step_makes.c.step == steps.c.id)
            .where(steps.c.state == "dropped", steps.c.started_at.is_not(None), ~made)
            .where(or_(*(steps.c.id.like(f"{kind}-%") for kind in ("package", "text", "thumbnails", "compose"))))
        )
        with self._read_at_once() as connection:
            return tuple(
                Begun(step=row.id, token=row.token, digest=row.artifact, life=row.life)
                for row in connection.execute(query)
            )

    def abandon(self, begun: Mapping[Begun, str], *, wait: timedelta) -> None:
        """Have what dropped steps left at those prefixes deleted after `wait`; begun again, they go elsewhere."""
        for some in _batches(begun):
            with self._write() as connection:
                pass_gate(connection)
                wanted = {one.step: one for one in some}
                lock(connection, steps.c.id.in_(wanted))
                still = select(steps.c.id, steps.c.token).where(steps.c.id.in_(wanted), steps.c.state == "dropped")
                left = [wanted[row.id] for row in connection.execute(still) if row.token == wanted[row.id].token]
                for one in left:
                    connection.execute(insert(graves).values(key=begun[one], due=now() + wait.total_seconds()))
                gone = update(steps).where(steps.c.id.in_([one.step for one in left]))
                connection.execute(gone.values(life=steps.c.life + 1, started_at=None))

    def graves(self) -> tuple[Grave, ...]:
        """What is to be deleted now."""
        query = select(graves.c.id, graves.c.key).where(graves.c.due <= now()).order_by(graves.c.id)
        with self._read_at_once() as connection:
            return tuple(Grave(id=row.id, key=row.key) for row in connection.execute(query))

    def fill(self, emptied: Collection[Grave]) -> None:
        """These have been deleted."""
        for some in _batches(emptied):
            with self._write() as connection:
                connection.execute(delete(graves).where(graves.c.id.in_([grave.id for grave in some])))

    def attempts(self, of: Collection[str]) -> dict[str, Attempt]:
        """Where those steps are; one that is not known is missing."""
        found: dict[str, Attempt] = {}
        for some in _batches(of):
            query = select(steps.c.id, steps.c.token, steps.c.state).where(steps.c.id.in_(some))
            with self._read_at_once() as connection:
                for row in connection.execute(query):
                    found[row.id] = Attempt(token=row.token, running=row.state == "running")
        return found

    def committed(self, keys: Collection[str]) -> set[str]:
        """Those of `keys` that an artifact is at."""
        found: set[str] = set()
        for some in _batches(keys):
            with self._read_at_once() as connection:
                found |= set(connection.scalars(select(artifacts.c.key).where(artifacts.c.key.in_(some))))
        return found

    def lives(self, digests: Collection[str]) -> dict[str, int]:
        """How often each of those was collected before it was made as it is."""
        query = select(step_makes.c.artifact, steps.c.life).join(steps, steps.c.id == step_makes.c.step)
        with self._read_at_once() as connection:
            rows = connection.execute(query.where(step_makes.c.artifact.in_(list(digests))))
            return {row.artifact: row.life for row in rows}

    def warming(self) -> tuple[tuple[str, int], ...]:
        """What unfinished steps are to warm: digest of the evidence, and how often it was collected."""
        query = (
            select(step_makes.c.artifact, steps.c.life)
            .join(steps, steps.c.id == step_makes.c.step)
            .where(steps.c.id.like("warm-%"), steps.c.state.not_in(pins.OVER))
        )
        with self._read_at_once() as connection:
            return tuple((row.artifact, row.life) for row in connection.execute(query))


def _bury(connection: Connection, some: list[Existing], needed: set[str], since: float) -> list[str]:
    """Kind by kind, so that what leaned on something is gone when that is looked at."""
    buried: list[str] = []
    for kind in ORDER:
        asked = [one.digest for one in some if one.kind == kind]
        if not asked:
            continue
        due = (artifacts.c.digest.in_(asked), artifacts.c.doomed_at <= now() - since)
        rows = connection.execute(select(artifacts.c.digest, artifacts.c.key).where(*due)).all()
        held = needed | pins.working(connection, asked)
        held |= set() if kind in INTERMEDIATE else pins.leaned_on(connection, asked)
        gone = {row.digest: row.key for row in rows if row.digest not in held}
        _gone(connection, gone, kind)
        buried += gone
    return buried


def _gone(connection: Connection, gone: Mapping[str, str], kind: str) -> None:
    """From here on they do not exist; what bytes they have are to be deleted."""
    if not gone:
        return
    _forget(connection, gone, lives=1)
    if kind in STORED:
        connection.execute(insert(graves), [{"key": key, "due": 0.0} for key in gone.values()])
    if kind == "version":
        connection.execute(delete(checks).where(checks.c.version.in_(gone)))


def _forget(connection: Connection, gone: Collection[str], *, lives: int) -> None:
    connection.execute(delete(artifacts).where(artifacts.c.digest.in_(gone)))
    makers = lock(connection, steps.c.id.in_(select(step_makes.c.step).where(step_makes.c.artifact.in_(gone))))
    connection.execute(update(steps).where(steps.c.id.in_(makers)).values(life=steps.c.life + lives))


def _batches(these: Iterable[Anything]) -> Iterator[list[Anything]]:
    waiting = iter(these)
    while some := list(islice(waiting, BATCH)):
        yield some

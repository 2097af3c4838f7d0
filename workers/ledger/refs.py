"""
What viewers get, and from when: one row per episode, flipped by compare-and-set.

The flip fails closed, in one transaction and by the ledger's clock: not before its time, not without everything that
it was promised on, and of two clocks exactly one flips.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipelines.errors import ReleaseError
from pipelines.release import Ref
from workers.ledger.database import Database, insert_new, instant
from workers.ledger.schema import artifacts, now, refs, releases


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A flip to come: which version of an episode, and when."""

    episode: str
    at: datetime
    #: The same as the delivery said it: `2026-11-29 03:00 Europe/Paris`.
    wall: str
    #: Digest of the version.
    version: str
    #: Digests of what must exist before the flip: the verification, the warmth of every edge.
    goals: tuple[str, ...]


class Refs(Database):
    """Releases to come, and the refs that they flip."""

    def arm(self, release: Release) -> None:
        """Have `release` happen at its time; instead of the episode's last one, if that has not happened yet."""
        values = {
            "at": release.at.timestamp(),
            "wall": release.wall,
            "version": release.version,
            "goals": list(release.goals),
            "armed_at": now(),
        }
        with self._write() as connection:
            armed = insert_new(connection, releases).values(episode=release.episode, **values)
            connection.execute(armed.on_conflict_do_update(index_elements=[releases.c.episode], set_=values))

    def armed(self) -> tuple[Release, ...]:
        """All releases to come, the next one first."""
        with self._read() as connection:
            return tuple(_release(row) for row in connection.execute(select(releases).order_by(releases.c.at)))

    def flipped(self, within: timedelta) -> tuple[str, ...]:
        """Episodes whose ref was flipped so recently."""
        since = refs.c.flipped_at > now() - within.total_seconds()
        with self._read() as connection:
            return tuple(connection.scalars(select(refs.c.episode).where(since)))

    def ref(self, episode: str) -> Ref:
        """What viewers of an episode get now."""
        with self._read() as connection:
            return _ref(connection, episode)

    def flip(self, episode: str, *, version: str, generation: int) -> Ref | None:
        """
        Release the armed `version` of `episode`, if its ref is still at `generation`; the new ref.

        None: another clock was first. Raises `ReleaseError` when that version is not armed, before its time, or while
        something that it was promised on does not exist.
        """
        with self._write() as connection:
            # Locked first: who meets another clock here then sees what that one did, and nobody arms another meanwhile.
            armed = select(releases, now().label("clock")).where(releases.c.episode == episode).with_for_update()
            found = connection.execute(armed).first()
            if _ref(connection, episode).generation != generation:
                return None
            _gate(connection, found, episode, version)
            if not _swapped(connection, episode, version, generation):
                return None
            connection.execute(delete(releases).where(releases.c.episode == episode))
            return _ref(connection, episode)


def _gate(connection: Connection, found: Row[Any] | None, episode: str, version: str) -> None:
    if found is None or found.version != version:
        raise ReleaseError(f"That version of `{episode}` is not armed.", hint="Run the episode, which arms it.")
    if found.clock < found.at:
        raise ReleaseError(
            f"It is {found.at - found.clock:.1f} s too early to release `{episode}`.", hint=f"Its time is {found.wall}."
        )
    there = select(func.count()).where(artifacts.c.digest.in_(found.goals))
    lacking = len(set(found.goals)) - connection.execute(there).scalar_one()
    if lacking:
        raise ReleaseError(
            f"`{episode}` is not ready: {lacking} of its checks have not passed.", hint="See `avant status`."
        )


def _swapped(connection: Connection, episode: str, version: str, generation: int) -> bool:
    """Whether we were the one who moved the ref on from `generation`."""
    values = {"generation": generation + 1, "version": version, "flipped_at": now()}
    if generation:
        there = update(refs).where(refs.c.episode == episode, refs.c.generation == generation)
        return connection.execute(there.values(values)).rowcount == 1
    try:
        with connection.begin_nested():
            connection.execute(insert(refs).values(episode=episode, **values))
    except IntegrityError:
        return False
    return True


def _ref(connection: Connection, episode: str) -> Ref:
    row = connection.execute(select(refs).where(refs.c.episode == episode)).first()
    if row is None:
        return Ref(episode=episode, generation=0, state="not-yet", version=None, flipped_at=None)
    return Ref(
        episode=episode,
        generation=row.generation,
        state="released",
        version=row.version or None,  # empty: released by a ledger that was lost, and forgotten since
        flipped_at=instant(row.flipped_at),
    )


def _release(row: Row[Any]) -> Release:
    return Release(episode=row.episode, at=instant(row.at), wall=row.wall, version=row.version, goals=tuple(row.goals))

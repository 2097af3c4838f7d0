"""
What viewers get, and from when: one row per episode, flipped by compare-and-set.

The flip fails closed, in one transaction and by the ledger's clock: not before its time, not without everything that
it was promised on, and of two clocks exactly one flips.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipelines.edition import Edition
from pipelines.errors import ReleaseError
from pipelines.release import Ref
from pipelines.trim import Trim
from pipelines.wire import from_data, to_data
from workers.ledger.acts import By, note
from workers.ledger.database import Database, insert_new, instant, passed
from workers.ledger.gate import editions_of, fullest
from workers.ledger.pins import rescue
from workers.ledger.schema import now, refs, releases
from workers.ledger.submit import current_plan

CLOCK = By(who="clock", action="flip")
ARMING = By(who="submission", action="arm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A flip to come: of which episode, when, and to what."""

    episode: str
    at: datetime
    #: The same as the delivery said it: `2026-11-29 03:00 Europe/Paris`.
    wall: str
    #: The least first. It stays armed until viewers have the last.
    editions: tuple[Edition, ...]
    #: Not to be flipped until an operator says so.
    held: bool = False

    @property
    def version(self) -> str:
        """Digest of the fullest version, which the plan goes by."""
        return self.editions[-1].version


class Refs(Database):
    """Releases to come, and the refs that they flip."""

    def arm(self, release: Release, *, by: By | None = None, tzdata: str = "") -> None:
        """
        Have `release` happen at its time, instead of the episode's last one; one that is held stays held.

        What the episode's plan has given up by now stays given up, whatever whoever arms it knew. The trail tells of it
        if it is an operator's doing, or makes a difference; with `tzdata`, by whose rules the wall time was resolved.
        """
        with self._write() as connection:
            # Who gives something up has this row until its plan is written.
            row = locked(connection, release.episode)
            values = {
                "at": release.at.timestamp(),
                "wall": release.wall,
                "editions": _promised(connection, release),
                "armed_at": now(),
            }
            armed = insert_new(connection, releases).values(episode=release.episode, held=release.held, **values)
            connection.execute(armed.on_conflict_do_update(index_elements=[releases.c.episode], set_=values))
            _note_arming(connection, row, release, by, tzdata)

    def armed(self) -> tuple[Release, ...]:
        """All releases to come, the next one first."""
        with self._read() as connection:
            return tuple(_release(row) for row in connection.execute(select(releases).order_by(releases.c.at)))

    def hold(self, episode: str, *, held: bool, by: By) -> Release:
        """Have a release wait for an operator, or no longer. Raises `ReleaseError` if none is armed."""
        with self._write() as connection:
            row = locked(connection, episode)
            if row is None:
                raise ReleaseError(f"Nothing of `{episode}` is armed.", hint="Submit the episode, which arms it.")
            hold_locked(connection, row, held=held, by=by)
            return _release(connection.execute(select(releases).where(releases.c.episode == episode)).one())

    def flipped(self, within: timedelta) -> dict[str, int]:
        """The generation of each ref that was moved so recently, by episode."""
        query = select(refs.c.episode, refs.c.generation).where(refs.c.flipped_at > now() - within.total_seconds())
        with self._read_at_once() as connection:
            return {row.episode: row.generation for row in connection.execute(query)}

    def ref(self, episode: str) -> Ref:
        """What viewers of an episode get now."""
        with self._read() as connection:
            return _ref(connection, episode)

    def due(self, episode: str, *, let_go: bool = False) -> Edition | None:
        """
        What a flip would release now; None: viewers have it. Raises `ReleaseError` as `flip` does; with `let_go` as it
        would if nothing were held.
        """
        armed = select(releases, now().label("clock")).where(releases.c.episode == episode)
        with self._read() as connection:
            viewers = _ref(connection, episode).version
            edition = fullest(connection, connection.execute(armed).first(), episode, viewers, let_go=let_go)
        return None if edition.version == viewers else edition

    def flip(self, episode: str, *, generation: int) -> Ref | None:
        """
        Release the fullest edition of what is armed that is whole, if the ref is still at `generation`; the new ref.

        None: another clock was first, or viewers have it. What is withdrawn or capped stays so. Raises `ReleaseError`
        when nothing is armed, it is held, before its time, or while no edition is whole.
        """
        with self._write() as connection:
            # Locked first: who meets another clock here then sees what that one did, and nobody arms another meanwhile.
            row = locked(connection, episode)
            before = _ref(connection, episode)
            if before.generation != generation:
                return None
            edition = fullest(connection, row, episode, before.version)
            if row is not None and edition == editions_of(row)[-1]:
                connection.execute(delete(releases).where(releases.c.episode == episode))
            if edition.version == before.version:
                return None
            return _moved(connection, before, edition.version, before.trim, CLOCK)

    def turn(self, ref: Ref, *, version: str, trim: Trim, by: By) -> Ref | None:
        """
        Have viewers get another version, or another part of it, than by `ref`; None: that is not the ref any more.

        Who goes back to another version does not want the clock to undo it: what is armed is held. Raises
        `ReleaseError` for an episode that is not released, and for a version that was collected.
        """
        with self._write() as connection:
            connection.execute(select(passed()))  # nothing is collected meanwhile
            row = locked(connection, ref.episode)
            before = _ref(connection, ref.episode)
            if before.version is None:
                raise ReleaseError(f"`{ref.episode}` is not released.", hint="Only what viewers get can be changed.")
            if before.generation != ref.generation:
                return None
            if version != before.version:
                rescue(connection, version)
                if row is not None:
                    hold_locked(connection, row, held=True, by=by)
            return _moved(connection, before, version, trim, by)


def _promised(connection: Connection, release: Release) -> list[Any]:
    row = current_plan(connection, release.episode)
    if row is not None and row.plan.get("given_up") and row.plan["editions"][-1]["version"] == release.version:
        return list(row.plan["editions"])
    return [to_data(edition) for edition in release.editions]


def locked(connection: Connection, episode: str) -> Row[Any] | None:
    """The row of what is armed, locked; with the ledger's clock."""
    armed = select(releases, now().label("clock")).where(releases.c.episode == episode).with_for_update()
    return connection.execute(armed).first()


def _note_arming(connection: Connection, row: Row[Any] | None, release: Release, by: By | None, tzdata: str) -> None:
    before = {"at": instant(row.at).isoformat(), "wall": row.wall} if row else {}
    after = {"at": release.at.isoformat(), "wall": release.wall}
    if by or (tzdata and before != after):
        versions = ({"version": editions_of(row)[-1].version} if row else {}, {"version": release.version})
        rules = {"tzdata": tzdata} if tzdata else {}
        told = after | versions[1] | rules
        note(connection, release.episode, by or ARMING, before=before | versions[0], after=told)


def hold_locked(connection: Connection, row: Row[Any], *, held: bool, by: By) -> None:
    """Have a release wait, or no longer, and tell it, if that is not so already."""
    if row.held != held:
        connection.execute(update(releases).where(releases.c.episode == row.episode).values(held=held))
        note(connection, row.episode, by, before={"held": row.held}, after={"held": held})


def _moved(connection: Connection, before: Ref, version: str, trim: Trim, by: By) -> Ref | None:
    """The ref, one generation on; None if another moved it."""
    if not _swapped(connection, before, version, trim):
        return None
    note(
        connection,
        before.episode,
        by,
        before={"version": before.version, "trim": to_data(before.trim)},
        after={"version": version, "trim": to_data(trim)},
        generation=before.generation + 1,
    )
    return _ref(connection, before.episode)


def _swapped(connection: Connection, before: Ref, version: str, trim: Trim) -> bool:
    """Whether we were the one who moved the ref on."""
    values = {"generation": before.generation + 1, "version": version, "trim": to_data(trim), "flipped_at": now()}
    if before.generation:
        there = update(refs).where(refs.c.episode == before.episode, refs.c.generation == before.generation)
        return connection.execute(there.values(values)).rowcount == 1
    try:
        with connection.begin_nested():
            connection.execute(insert(refs).values(episode=before.episode, **values))
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
        trim=from_data(Trim, row.trim),
        ended=tuple(row.ended),
    )


def _release(row: Row[Any]) -> Release:
    return Release(episode=row.episode, at=instant(row.at), wall=row.wall, editions=editions_of(row), held=row.held)

"""
What a ledger restored from a backup has forgotten: tokens that somebody may still hold, flips that viewers saw.

It can't be told what they were; so tokens go on above all that ever were, and refs above what the store shows.
"""

from sqlalchemy import func, select, update

from pipelines.trim import Trim
from pipelines.wire import to_data
from workers.ledger.acts import By, note
from workers.ledger.database import Database, insert_new, pass_gate
from workers.ledger.gate import editions_of
from workers.ledger.refs import hold_locked, locked
from workers.ledger.schema import farm, now, plans, refs, steps
from workers.ledger.submit import lock
from workers.ledger.work import FREED

#: Tokens go on at the milliseconds since 1970: no step is claimed so often that it gets there by itself.
PER_SECOND = 1000

RECOVERY = By(who="ledger recover", action="recover", why="restored from a backup")


class Recoveries(Database):
    """Fences around what was forgotten."""

    def fence(self) -> int:
        """
        Raise the epoch, above which all tokens are given out from here on, and free every step that was running.

        Whoever held one when the backup was made has ended long since, or holds a token that counts no more. Returns
        the epoch.
        """
        with self._write() as connection:
            pass_gate(connection)
            held = lock(connection, steps.c.state == "running")
            values = {"state": "ready", "attempts": steps.c.attempts - 1, **FREED}
            connection.execute(update(steps).where(steps.c.id.in_(held)).values(values))
            highest = connection.execute(select(func.coalesce(func.max(steps.c.token), 0))).scalar_one()
            before: int = connection.execute(select(farm.c.epoch)).scalar_one()
            clock: float = connection.execute(select(now())).scalar_one()
            epoch = max(int(clock * PER_SECOND), int(highest), before + 1)
            connection.execute(update(farm).values(epoch=epoch))
        return epoch

    def planned(self, episode: str) -> tuple[str, ...]:
        """Digests of all versions of an episode that were ever planned."""
        with self._read() as connection:
            return tuple(connection.scalars(select(plans.c.version).where(plans.c.episode == episode)))

    def raise_ref(self, episode: str, generation: int, version: str | None, trim: Trim) -> bool:
        """
        Have an episode's ref be what viewers already get; whether it was behind that.

        Without a version, which the ledger has forgotten too, it only keeps anything older from being written. Another
        version that is armed is held: viewers may have had it, and somebody gone back from it.
        """
        values = {"generation": generation, "version": version or "", "trim": to_data(trim), "flipped_at": now()}
        with self._write() as connection:
            row = locked(connection, episode)
            raised = insert_new(connection, refs).values(episode=episode, **values)
            behind = refs.c.generation < generation
            raised = raised.on_conflict_do_update(index_elements=[refs.c.episode], set_=values, where=behind)
            if not connection.execute(raised.returning(refs.c.episode)).first():
                return False
            after = {"version": values["version"], "trim": values["trim"]}
            note(connection, episode, RECOVERY, before={}, after=after, generation=generation)
            if row is not None and editions_of(row)[-1].version != version:
                hold_locked(connection, row, held=True, by=RECOVERY)
        return True

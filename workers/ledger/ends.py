"""
Where and until when episodes are offered, and that a ref says so: by the ledger's clock, a generation higher each time.
"""

from sqlalchemy import Connection, exists, select, update

from pipelines.availability import EVERYWHERE, Availability
from pipelines.wire import from_data, to_data
from workers.ledger.acts import By, note
from workers.ledger.database import Database, insert_new, instant
from workers.ledger.schema import availabilities, now, refs

CLOCK = By(who="clock", action="end")


class Ends(Database):
    """What is offered where, and what is over."""

    def agree(self, episode: str, where: Availability) -> None:
        """Have an episode be offered there and until then. What viewers have already follows at the next `end`."""
        with self._write() as connection:
            if where == _of(connection, episode):
                return
            ends = [one.ends.timestamp() for one in where.territories if one.ends]
            released = connection.execute(select(refs.c.episode).where(refs.c.episode == episode)).first()
            values = {"body": to_data(where), "due": now() if released else min(ends, default=None)}
            agreed = insert_new(connection, availabilities).values(episode=episode, **values)
            connection.execute(agreed.on_conflict_do_update(index_elements=[availabilities.c.episode], set_=values))

    def availability(self, episode: str) -> Availability:
        """Where and until when an episode is offered."""
        with self._read_at_once() as connection:
            return _of(connection, episode)

    def ending(self) -> tuple[str, ...]:
        """Released episodes of which viewers are to be told something else now."""
        released = exists(select(refs.c.episode).where(refs.c.episode == availabilities.c.episode))
        query = select(availabilities.c.episode).where(availabilities.c.due <= now(), released)
        with self._read_at_once() as connection:
            return tuple(connection.scalars(query))

    def end(self, episode: str) -> tuple[str, ...] | None:
        """Have an episode's ref say in which territories it has ended by now; those. None: another clock was first."""
        this = availabilities.c.episode == episode
        due = select(availabilities.c.body, now().label("clock")).where(this, availabilities.c.due <= now())
        with self._write() as connection:
            found = connection.execute(due.with_for_update()).first()
            ref = connection.execute(select(refs).where(refs.c.episode == episode).with_for_update()).first()
            if found is None or ref is None:
                return None
            where, clock = from_data(Availability, found.body), instant(found.clock)
            ended, following = where.ended(clock), where.next_end(clock)
            generation = ref.generation + 1
            values = {"ended": list(ended), "generation": generation, "flipped_at": now()}
            connection.execute(update(refs).where(refs.c.episode == episode).values(values))
            later = following.timestamp() if following else None
            connection.execute(update(availabilities).where(this).values(due=later))
            before, after = {"ended": list(ref.ended)}, {"ended": list(ended)}
            note(connection, episode, CLOCK, before=before, after=after, generation=generation)
        return ended


def _of(connection: Connection, episode: str) -> Availability:
    body = connection.execute(select(availabilities.c.body).where(availabilities.c.episode == episode)).scalar()
    return EVERYWHERE if body is None else from_data(Availability, body)

"""
What others are to be told: kept until they have taken it, or for a day.

Any clock sends; the next attempt is put off in the transaction that begins one, so that two clocks seldom send the same
notice twice, and none is lost with the clock that held it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from workers.ledger.database import Database, instant
from workers.ledger.schema import notices, now, releases

#: After that, what was to be told is no news.
KEPT = timedelta(days=1)
#: Seconds from the first attempt to the second; each pause after it is twice as long, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that was not taken yet."""

    id: int
    made_at: datetime
    body: dict[str, Any]
    #: The one that is about to be made, counted from one.
    attempt: int


class Notices(Database):
    """The outbox."""

    def tell(self, episode: str, body: dict[str, Any], *, news: str, again: bool) -> bool:
        """
        Put a notice out, if `news` differs from its key in the last one of the episode; or anyway, if `again` and there
        is any. Whether it was put out: of those who have the same to tell, one does.

        `body[news]` is a list of what is wrong; empty, and nothing was before, is no news.
        """
        last = select(notices.c.body).where(notices.c.episode == episode).order_by(notices.c.id.desc()).limit(1)
        with self._write() as connection:
            # Who tells of an armed release waits for others who do.
            connection.execute(select(releases.c.episode).where(releases.c.episode == episode).with_for_update())
            before = (connection.scalar(last) or {}).get(news, [])
            if body[news] == before and not (again and before):
                return False
            values = {"episode": episode, "made_at": now(), "body": body, "attempts": 0, "next_at": 0.0}
            connection.execute(insert(notices).values(values))
            return True

    def next_notice(self) -> Notice | None:
        """The notice whose turn it is, with its next attempt put off; None if there is none now."""
        due = (
            select(notices, now().label("clock"))
            .where(notices.c.sent_at.is_(None), notices.c.next_at <= now())
            .where(notices.c.made_at > now() - KEPT.total_seconds())
            .order_by(notices.c.next_at, notices.c.id)
            .limit(1)
        )
        with self._write() as connection:
            row = connection.execute(due).first()
            if row is None:
                return None
            later = row.clock + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**row.attempts)
            ours = update(notices).where(notices.c.id == row.id, notices.c.attempts == row.attempts)
            if not connection.execute(ours.values(attempts=row.attempts + 1, next_at=later)).rowcount:
                return None
        return Notice(id=row.id, made_at=instant(row.made_at), body=row.body, attempt=row.attempts + 1)

    def taken(self, notice: Notice) -> None:
        """Say that it need not be sent again."""
        with self._write() as connection:
            connection.execute(update(notices).where(notices.c.id == notice.id).values(sent_at=now()))

    def notices(self, episode: str) -> Sequence[tuple[dict[str, Any], bool]]:
        """All that was to be told of an episode, the last first; and whether it was taken."""
        query = select(notices).where(notices.c.episode == episode).order_by(notices.c.id.desc())
        with self._read_at_once() as connection:
            return [(row.body, row.sent_at is not None) for row in connection.execute(query)]

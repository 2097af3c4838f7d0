"""
Who changed what viewers get, or will get, when and why: an audit trail that only grows.

Each act is written in the transaction of what it tells, so that there is neither one without the other.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from workers.ledger.database import Database, instant
from workers.ledger.schema import acts, now


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Whose decision something is."""

    #: `clock`, `ledger recover`, or an operator as the host knows them.
    who: str
    #: `flip`, `arm`, `hold`, `go`, `rollback`, `withdraw`, `restore`, `cap`, `uncap`, `drop`, `cancel`, `end` or
    #: `recover`.
    action: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that was done to an episode's release."""

    episode: str
    at: datetime
    by: By
    #: The ref's generation afterwards; None: the ref was not moved.
    generation: int | None
    before: dict[str, Any]
    after: dict[str, Any]


def note(
    connection: Connection,
    episode: str,
    by: By,
    *,
    before: dict[str, Any],
    after: dict[str, Any],
    generation: int | None = None,
) -> None:
    """Write an act down."""
    values = {"who": by.who, "action": by.action, "why": by.why, "before": before, "after": after}
    connection.execute(insert(acts).values(episode=episode, at=now(), generation=generation, **values))


class Acts(Database):
    """The trail."""

    def acts(self, episode: str, *, limit: int = 1000) -> tuple[Act, ...]:
        """What was done to an episode's release, the last first."""
        query = select(acts).where(acts.c.episode == episode).order_by(acts.c.id.desc()).limit(limit)
        with self._read_at_once() as connection:
            return tuple(
                Act(
                    episode=row.episode,
                    at=instant(row.at),
                    by=By(who=row.who, action=row.action, why=row.why),
                    generation=row.generation,
                    before=row.before,
                    after=row.after,
                )
                for row in connection.execute(query)
            )

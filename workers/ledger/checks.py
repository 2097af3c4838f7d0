"""
What was found when a version was checked again: the last finding of each subject, and who is at it.

The gate believes findings as it believes evidence: while they are young, and only if all is well.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, or_, select, update

from pipelines.edition import Edition
from workers.ledger.database import Database, insert_new, instant
from workers.ledger.gate import Lack, lacking
from workers.ledger.schema import checks, now

#: What stands for a round of checks of a version, among its subjects: when one began last, and when one ended.
ROUND = "round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The last finding about one subject of a version."""

    version: str
    #: `store`, `edge NAME`, or `clocks`.
    subject: str
    checked_at: datetime
    #: What is wrong, in a sentence; empty when nothing is.
    said: str
    #: Since when it has been found well, or not.
    changed_at: datetime

    @property
    def ok(self) -> bool:
        return not self.said


class Checks(Database):
    """Findings."""

    def found(self, version: str, subject: str, said: str) -> bool:
        """Keep a finding, empty if all is well. Whether that is news: a first fault, or no more what it was."""
        this = (checks.c.version == version) & (checks.c.subject == subject)
        values = {"checked_at": now(), "ok": not said, "said": said}
        since = case((checks.c.ok == (not said), checks.c.changed_at), else_=now())
        with self._write() as connection:
            before = connection.scalar(select(checks.c.ok).where(this))
            first = insert_new(connection, checks).values(version=version, subject=subject, changed_at=now(), **values)
            key = [checks.c.version, checks.c.subject]
            connection.execute(first.on_conflict_do_update(index_elements=key, set_={**values, "changed_at": since}))
        return bool(said) if before is None else before == bool(said)

    def checks(self, version: str) -> tuple[Check, ...]:
        """The last findings about a version, by subject."""
        query = select(checks).where(checks.c.version == version, checks.c.subject != ROUND)
        with self._read_at_once() as connection:
            return tuple(
                Check(
                    version=row.version,
                    subject=row.subject,
                    checked_at=instant(row.checked_at),
                    said=row.said,
                    changed_at=instant(row.changed_at),
                )
                for row in connection.execute(query.order_by(checks.c.subject))
            )

    def lacking(self, edition: Edition) -> tuple[Lack, ...]:
        """What the gate would have against an edition now, its time and holds apart."""
        with self._read() as connection:
            return lacking(connection, edition)

    def begin_round(self, version: str, *, ended_before: datetime, begun_before: datetime) -> bool:
        """
        Whether a round of checks is the caller's: the last one ended before then, and none is under way, unless it
        began before then: whoever began it must have died, or looked too early.
        """
        this = (checks.c.version == version) & (checks.c.subject == ROUND)
        values = {"version": version, "subject": ROUND, "checked_at": 0.0, "ok": True, "said": "", "changed_at": 0.0}
        idle = or_(checks.c.checked_at <= checks.c.changed_at, checks.c.checked_at < begun_before.timestamp())
        ours = update(checks).where(this, checks.c.changed_at < ended_before.timestamp(), idle)
        with self._write() as connection:
            connection.execute(insert_new(connection, checks).values(values).on_conflict_do_nothing())
            return connection.execute(ours.values(checked_at=now())).rowcount == 1

    def end_round(self, version: str, *, whole: bool) -> None:
        """Say that every subject was asked, whatever was found; or that the round was given up, and is anybody's."""
        this = (checks.c.version == version) & (checks.c.subject == ROUND)
        values = {"changed_at": now()} if whole else {"checked_at": 0.0}
        with self._write() as connection:
            connection.execute(update(checks).where(this).values(values))

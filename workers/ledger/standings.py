"""What the gate would say of an episode's editions now, whatever the time: for people and for forecasts."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select

from pipelines.edition import Edition
from workers.ledger.database import Database
from workers.ledger.gate import lacking
from workers.ledger.schema import checks


class Standings(Database):
    """How releases stand."""

    def lacks(self, editions: Iterable[Edition]) -> dict[str, Mapping[str, str]]:
        """
        By its version, what each edition lacks: digests of goals, and subjects of checks with what was found there.

        An edition that lacks nothing is whole.
        """
        asked = tuple(editions)
        found = select(checks).where(checks.c.version.in_([edition.version for edition in asked]))
        with self._read() as connection:
            said = {(row.version, row.subject): row.said for row in connection.execute(found)}
            return {
                edition.version: {each: said.get((edition.version, each), "") for each in lacking(connection, edition)}
                for edition in asked
            }

"""What the gate would say of an episode's editions now, whatever the time: for people and for forecasts."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from pipelines.edition import Edition
from workers.ledger.database import Database
from workers.ledger.gate import lacking, subjects


class Standings(Database):
    """How releases stand."""

    def lacks(self, editions: Iterable[Edition], *, stale: bool = True) -> dict[str, Mapping[str, str]]:
        """
        By its version, what each edition lacks: digests of goals that do not exist, and subjects of checks that are not
        well with what was found there.

        An edition that lacks nothing is whole. Without `stale`, evidence that has grown old is not counted: it will be
        looked at again in time.
        """
        with self._read() as connection:
            return {edition.version: _lacks(connection, edition, stale=stale) for edition in editions}


def _lacks(connection: Connection, edition: Edition, *, stale: bool) -> Mapping[str, str]:
    goals = subjects(edition)
    return {
        goals[lack.subject] if lack.kind == "unproved" else lack.subject: "" if lack.kind == "unproved" else lack.said
        for lack in lacking(connection, edition)
        if stale or lack.kind != "stale"
    }

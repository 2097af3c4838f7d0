"""A ledger's clock that a test turns: SQLite asks a function of ours what time it is, and nothing else is changed."""

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import event

from workers.ledger import Ledger, connect

#: Julian day and seconds since 1970, as the ledger's own SQL has them.
EPOCH, DAY = 2440587.5, 86400.0


class Sundial:
    """
    The time. It stands still unless it is turned, or goes on a little whenever it is looked at, at most by `pace`; or
    it is what somebody else says.
    """

    def __init__(self, at: datetime | Callable[[], datetime], *, pace: timedelta = timedelta(), seed: int = 1) -> None:
        self._at = at if isinstance(at, datetime) else datetime.now(UTC)
        self._told = None if isinstance(at, datetime) else at
        self._pace = pace
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime:
        return self._at

    def read(self) -> datetime:
        if self._told:
            return self._told()
        with self._lock:
            self._at += self._pace * self._chance.random()
            return self._at

    def turn(self, to: datetime) -> None:
        """Never backwards."""
        with self._lock:
            self._at = max(self._at, to)

    def ledger(self, url: str) -> Ledger:
        """The ledger at that address (SQLite's), which goes by this clock."""
        engine = connect(url)
        engine.dispose()  # connections that were opened before know another time
        event.listen(engine, "connect", self._steer)
        return Ledger(engine)

    def _steer(self, connection: object, _record: object) -> None:
        connection.create_function("julianday", 1, self._julian)  # type: ignore[attr-defined]  # sqlite3's own

    def _julian(self, _now: str) -> float:
        return self.read().astimezone(UTC).timestamp() / DAY + EPOCH

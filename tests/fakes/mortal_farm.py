"""A farm whose user dies at any moment: before any statement, any commit or any write, and after each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, event

from pipelines.release import generation_of
from pipelines.tools.s3 import Upload
from workers.ledger import Ledger
from workers.ledger.engine import open_engine


class DiedError(Exception):
    """What would have been done next was never done."""


@dataclass(kw_only=True)
class Life:
    """So many moments are left; None: for ever."""

    left: int | None = None

    def moment(self) -> None:
        if self.left == 0:
            raise DiedError
        if self.left is not None:
            self.left -= 1


class MortalLedger(Ledger):
    """A ledger that is there; a transaction that its user does not live to commit never was."""

    def __init__(self, address: str, life: Life) -> None:
        super().__init__(open_engine(address))  # its tables are known to be there: looking takes longer than the rest
        self._life = life
        event.listen(self._engine, "before_cursor_execute", lambda *_: life.moment())

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with super()._write() as connection:
            yield connection
            self._life.moment()
        self._life.moment()


@dataclass(kw_only=True)
class MortalStore:
    """A store's changing objects: what entry points ask of it, and nothing else. No generation ever goes down."""

    life: Life
    objects: dict[str, bytes] = field(default_factory=dict)
    #: Hears of each write.
    seen: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def check_swaps(self, _prefix: str) -> None:
        """As `swap` shows, it honours conditions."""

    def get(self, key: str) -> tuple[bytes, str] | None:
        return (self.objects[key], _etag(self.objects[key])) if key in self.objects else None

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        self.life.moment()
        before = self.objects.get(upload.key)
        if (_etag(before) if before is not None else None) != etag:
            return False
        assert isinstance(upload.body, bytes)
        assert before is None or generation_of(upload.body) >= generation_of(before)
        self.objects[upload.key] = upload.body
        self.seen()
        self.life.moment()
        return True


def _etag(body: bytes) -> str:
    return f'"{hash(body)}"'

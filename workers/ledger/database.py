"""
A connection to the ledger: transactions that write, transactions that only read, and its clock.

Settings of SQLite are here and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pipelines.errors import AvantError, ConfigurationError, HostError, full_disk
from workers.ledger import schema

#: Each with what goes wrong without it.
PRAGMAS = (
    "busy_timeout = 20000",  # ms; a writer that meets another fails at once instead of waiting its turn
    "journal_mode = WAL",  # readers (progress, status) would block writers, and be blocked
    "synchronous = FULL",  # in WAL mode NORMAL forgets the last commits at a power cut: a flip that viewers saw
    "foreign_keys = ON",  # SQLite does not check them unless told
)


class Database:
    """An engine whose tables are there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(reads_only=True)

    def now(self) -> datetime:
        """The ledger's clock: the only one that leases and releases are judged by."""
        with self._read() as connection:
            return instant(connection.execute(select(schema.now())).scalar_one())

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._reader.begin() as connection:
            yield connection


def instant(seconds: float) -> datetime:
    """An instant as people and programs read it."""
    return datetime.fromtimestamp(seconds, UTC)


def connect(url: str) -> Engine:
    """An engine for `url`, the tables made if there are none. Raises `ConfigurationError`."""
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        _prepare_tables(engine)
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(
            "The ledger's address can't be used.", hint="Set AVANT_LEDGER_URL to sqlite:///path or postgresql://…"
        ) from error
    except SQLAlchemyError as error:
        raise explained(error) from error
    return engine


def explained(error: SQLAlchemyError) -> AvantError:
    """A failure of the ledger, said to whoever can put it right."""
    name = str(getattr(getattr(error, "orig", None), "sqlite_errorname", ""))
    if name == "SQLITE_FULL":
        return full_disk()
    if name.startswith("SQLITE_IOERR"):  # also what a full disk is called when the shared index can't grow
        return HostError(f"The ledger's disk fails ({name}).", hint="See that it has room, and what its log says.")
    return ConfigurationError(
        f"The ledger can't be used: {type(error).__name__}.", hint="Check AVANT_LEDGER_URL and that it is up."
    )


def _prepare_sqlite(engine: Engine) -> None:
    if engine.url.database:
        folder = Path(engine.url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{folder} can't be made: {error.strerror}.", hint="Choose another place.") from error

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # Python's driver would begin transactions late, and only for writes
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reads_only")
        # A transaction that reads first and writes later fails if another wrote in between: writers lock at once.
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _prepare_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        if not inspect(connection).has_table(schema.farm.name):
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.farm).values(schema=schema.SCHEMA))
        found = connection.execute(select(schema.farm.c.schema)).scalar_one()
    if found != schema.SCHEMA:
        raise ConfigurationError(
            f"The ledger has schema {found}; this version of Avant knows schema {schema.SCHEMA}.",
            hint="Use the version of Avant that made it, or another ledger.",
        )

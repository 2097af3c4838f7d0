"""
A connection to the ledger: transactions that write, transactions that only read, and its clock.

Whatever is done in either runs on SQLite and PostgreSQL alike; how locks differ is said here and nowhere else. On
SQLite one writer is alone in the whole ledger. On PostgreSQL rows are locked, in this order, so that no two
transactions ever wait for each other:

1. the *gate*: submissions and collections hold it alone, commits and turned refs share it, nobody else needs it;
2. the row of a host, or of a release;
3. steps, by id; a claim takes one that nobody holds, and waits for none;
4. artifacts that are inserted, by digest; and after those, steps that may have become ready, by id.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Engine, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from workers.ledger import schema
from workers.ledger.engine import open_engine
from workers.ledger.faults import explaining
from workers.ledger.migrate import prepare

#: The gate's number among PostgreSQL's advisory locks, which nothing else of ours takes.
GATE = 0x4156414E54


class Database:
    """An engine whose tables are there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        if engine.dialect.name == "postgresql":
            # What is read in several queries is one state of the ledger: an artifact and the step that made it.
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
            # A single query needs no transaction of ours around it, which would be two more.
            self._looker = engine.execution_options(isolation_level="AUTOCOMMIT")
        else:
            self._reader = self._looker = engine.execution_options(reads_only=True)

    def now(self) -> datetime:
        """The ledger's clock: the only one that leases and releases are judged by."""
        with self._read_at_once() as connection:
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

    @contextmanager
    def _read_at_once(self) -> Iterator[Connection]:
        """For one query that changes nothing."""
        with self._looker.connect() as connection:
            yield connection


def instant(seconds: float) -> datetime:
    """An instant as people and programs read it."""
    return datetime.fromtimestamp(seconds, UTC)


def connect(url: str, *, seen: bool = False) -> Engine:
    """An engine for `url`, the tables made if there are none and they weren't `seen`. Raises `ConfigurationError`."""
    with explaining():
        engine = open_engine(url)
        if seen:
            return engine
        try:
            prepare(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine


def pass_gate(connection: Connection) -> None:
    """
    Wait at the gate: submissions pass one by one, commits together (`passed`), and none of one kind during the other.

    A submission that met a commit would not see its artifact, nor the commit the submission's steps: a step would wait
    for ever for what is there. PostgreSQL's advisory locks queue in order; a row that is locked by many at a time would
    keep a submission waiting as long as commits go on.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(GATE)))


class passed(FunctionElement[bool]):  # noqa: N801 - reads as the SQL condition that it is
    """
    True, once the gate was passed as commits do: before the statement whose condition this is touches any row.

    It saves a commit a statement of its own. What the statement itself reads may be from before the gate; what it
    changes is judged again as it is then.
    """

    type = Boolean()
    inherit_cache = True


@compiles(passed, "sqlite")
def _(_element: passed, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "1"


@compiles(passed, "postgresql")
def _(_element: passed, _compiler: SQLCompiler, **_kw: Any) -> str:
    # In a query of its own, or it would be called again for every row.
    return f"(SELECT pg_advisory_xact_lock_shared({GATE})) IS NOT NULL"


def insert_new(connection: Connection, table: Table) -> Any:
    """An insert, which both dialects can have do nothing, or something else, where the row is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)

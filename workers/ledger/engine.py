"""
An engine for the ledger's address: what SQLite and PostgreSQL must be told before they can be relied on.
"""

import math
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from pipelines.errors import HostError

#: Each with what goes wrong without it.
PRAGMAS = (
    "busy_timeout = 20000",  # ms; a writer that meets another fails at once instead of waiting its turn
    "journal_mode = WAL",  # readers (progress, status) would block writers, and be blocked
    "synchronous = FULL",  # in WAL mode NORMAL forgets the last commits at a power cut: a flip that viewers saw
    "foreign_keys = ON",  # SQLite does not check them unless told
)
#: PostgreSQL's, for each of our sessions, likewise.
SESSION = (
    "statement_timeout=60s",  # a query that hangs would hold its locks, and its slot, for ever
    "lock_timeout=20s",  # a slot would wait without a word for whoever holds a row
    # A worker that is stopped, or cut off, in the midst of a transaction would keep its host from claiming for ever.
    # Shorter than the wait for a lock, so that who waits for it outlasts it.
    "idle_in_transaction_session_timeout=10s",
)
#: libpq's, likewise. What the address says itself goes first.
LIBPQ = {
    "application_name": "avant",  # whose sessions these are, in pg_stat_activity
    "connect_timeout": "5",  # s; a server behind a dead network is waited for for two minutes
    # A connection whose other end vanished without a word (power, network) is noticed within 20 s, not two hours.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}
#: A slot's thread and its keeper's; for a moment the seven of a clock, whose flip must not wait for the others.
POOL = {"pool_size": 2, "max_overflow": 6}
#: Seconds for which a connection that worked is believed to work; more than from one look of a supervisor to the next.
FRESH = 2.0
#: What people write, and the driver that it means here.
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def open_engine(address: str) -> Engine:
    """An engine for `address`; nothing is connected yet. Raises `ArgumentError`, or `ImportError` for its driver."""
    try:
        url = make_url(address)
    except ValueError as error:
        raise ArgumentError("The port is no number.") from error
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    return _postgresql(url) if url.get_backend_name() == "postgresql" else _sqlite(url)


def _postgresql(url: URL) -> Engine:
    theirs = url.query.get("options", "")
    options = " ".join([*(f"-c {setting}" for setting in SESSION), *([theirs] if isinstance(theirs, str) else theirs)])
    ours = {name: value for name, value in LIBPQ.items() if name not in url.query}
    engine = create_engine(url, connect_args={**ours, "options": options.strip()}, **POOL)
    _try_before_use(engine)
    return engine


def _try_before_use(engine: Engine) -> None:
    """
    Try a connection that has been idle before it is used: one from before a restart of the server would fail its step.

    Not one that was used a moment ago: asking each time (`pool_pre_ping`) makes a claim a third slower.
    """
    dialect = engine.dialect

    @event.listens_for(engine, "checkin")
    def _left(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _tried(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("left", math.inf) < FRESH:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes another


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return engine


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

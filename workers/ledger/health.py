"""How a ledger is set, and what we may do in it: what `avant doctor` asks. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, literal, select, text, union_all

from workers.ledger.database import instant
from workers.ledger.migrate import HEAD, schema_of
from workers.ledger.schema import hosts, metadata, now
from workers.ledger.upkeep import DURABLE, opened

#: PostgreSQL's settings that a release depends on, or a farm.
SETTINGS = (*DURABLE, "autovacuum", "max_connections")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A ledger, examined."""

    #: `postgresql 15.18`, `sqlite 3.45.1`
    server: str
    #: PostgreSQL's number before the dot; 0 for SQLite.
    major: int
    #: None for an empty ledger.
    schema: str | None
    #: Its clock.
    now: datetime
    #: Whether what is said on the way to it can't be overheard.
    private: bool
    #: Whether it only copies another, and takes no writes.
    replica: bool
    #: What we may not do and would have to: `INSERT on steps`.
    denied: tuple[str, ...]
    settings: Mapping[str, str]
    #: Slots of all hosts, and how many hosts there are.
    slots: int
    hosts: int


def examine(address: str) -> Health:
    """What there is at `address`. Raises `ConfigurationError`, or `HostError`."""
    with opened(address) as engine, engine.connect() as connection:
        version = connection.dialect.server_version_info or ()
        schema = schema_of(connection)
        rows = connection.execute(select(hosts.c.slots)).all() if schema == HEAD else []
        clock = connection.execute(select(now())).scalar_one()
        theirs = _postgresql(connection, schema) if connection.dialect.name == "postgresql" else _sqlite()
        private, replica, denied, settings = theirs
        return Health(
            server=f"{connection.dialect.name} {'.'.join(map(str, version))}",
            major=int(version[0]) if connection.dialect.name == "postgresql" else 0,
            schema=schema,
            now=instant(clock),
            private=private,
            replica=replica,
            denied=denied,
            settings=settings,
            slots=sum(sum(row.slots.values()) for row in rows),
            hosts=len(rows),
        )


#: Private, replica, denied, settings.
_Theirs = tuple[bool, bool, tuple[str, ...], Mapping[str, str]]


def _sqlite() -> _Theirs:
    """A file of our own."""
    return True, False, (), {}


def _postgresql(connection: Connection, schema: str | None) -> _Theirs:
    said = [func.current_setting(name).label(name) for name in SETTINGS]
    settings = connection.execute(select(*said)).one()._asdict()
    replica = connection.execute(select(func.pg_is_in_recovery())).scalar_one()
    # No address: over the socket, which nobody overhears.
    overheard = connection.execute(
        text(
            "SELECT NOT ssl AND inet_server_addr() IS NOT NULL AND host(inet_server_addr()) NOT IN ('127.0.0.1', '::1')"
            " FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
    ).scalar()
    return not overheard, bool(replica), _denied(connection) if schema == HEAD else (), settings


def _denied(connection: Connection) -> tuple[str, ...]:
    asked = [
        select(literal(f"{right} on {table}"), func.has_table_privilege(table, right))
        for table in metadata.tables
        for right in RIGHTS
        if table != "farm" or right in ("SELECT", "UPDATE")
    ]
    counted = [f"{name}_id_seq" for name, table in metadata.tables.items() if table.autoincrement_column is not None]
    asked += [select(literal(f"USAGE on {name}"), func.has_sequence_privilege(name, "USAGE")) for name in counted]
    return tuple(what for what, may in connection.execute(union_all(*asked)) if not may)

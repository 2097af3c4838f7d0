"""What an operator does to a ledger as a whole. Unlike `open_ledger`, this takes one whose schema we don't know."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from workers.ledger.engine import open_engine
from workers.ledger.faults import explaining
from workers.ledger.migrate import HEAD, schema_of, unknown, upgrade

#: What a server must not have switched off.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """A ledger, seen from outside."""

    #: `postgresql 15.18`, `sqlite 3.45.1`
    server: str
    #: The schema that it has, None for an empty one; and the one that we know.
    schema: str | None
    known: str = HEAD
    #: Settings of the server that are off, so that a power cut may forget a flip that viewers saw.
    careless: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        return self.schema == self.known


def inspect_ledger(address: str) -> Upkeep:
    """What there is at `address`. Raises `ConfigurationError`."""
    with opened(address) as engine:
        return _seen(engine)


def upgrade_ledger(address: str) -> Upkeep:
    """Bring the ledger up to date; what there was before. Raises `ConfigurationError`, also if it is newer than we."""
    with opened(address) as engine:
        before = _seen(engine)
        if before.schema and before.schema > HEAD:
            raise unknown(before.schema)
        upgrade(engine)
    return before


def _seen(engine: Engine) -> Upkeep:
    with engine.connect() as connection:
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
        return Upkeep(
            server=f"{engine.dialect.name} {version}", schema=schema_of(connection), careless=_careless(connection)
        )


def _careless(connection: Connection) -> tuple[str, ...]:
    if connection.dialect.name != "postgresql":
        return ()  # what SQLite keeps is our own setting
    return tuple(name for name in DURABLE if connection.execute(text(f"SHOW {name}")).scalar() == "off")


@contextmanager
def opened(address: str) -> Iterator[Engine]:
    """An engine for `address`, whatever schema is there. Raises `ConfigurationError`, or `HostError`."""
    with explaining():
        engine = open_engine(address)
        try:
            yield engine
        finally:
            engine.dispose()

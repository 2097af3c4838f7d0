"""
The ledger's schema, made and changed by migrations alone (`migrations/versions`, run by Alembic).

What only one machine uses is brought up to date when it is opened. A farm's ledger is upgraded by who says so: workers
that know the older schema stop claiming, finish what they have, and end.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from pipelines.errors import ConfigurationError
from workers.ledger.schema import revision

#: The newest migration: the schema that this version of Avant works with.
HEAD = "0004"
#: What is locked on PostgreSQL, so that of several processes that find an empty database one fills it.
LOCK = 0x4156414E55

MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(engine: Engine) -> None:
    """Have the schema that we know. Raises `ConfigurationError` if the ledger has another, not ours to change."""
    if _is_current(engine):
        return
    with engine.connect() as connection:
        found = schema_of(connection)
    if found == HEAD:
        return
    if found is None or (engine.dialect.name == "sqlite" and found < HEAD):
        upgrade(engine)
        return
    raise unknown(found)


def _is_current(engine: Engine) -> bool:
    """The usual case, asked in one query: to look which tables there are takes slots more time and memory."""
    with engine.connect() as connection:
        try:
            return connection.execute(select(revision.c.version_num)).scalar() == HEAD
        except DBAPIError:  # no such table, or something else that the next query will meet as well
            return False


def unknown(found: str) -> ConfigurationError:
    """The ledger has a schema that this version was not written for."""
    said = f"The ledger has schema {found}; this version of Avant knows schema {HEAD}."
    if found < HEAD:
        return ConfigurationError(said, hint="Run `avant ledger upgrade`, once, from any host.")
    return ConfigurationError(said, hint="Install the version of Avant that the ledger was upgraded with.")


def schema_of(connection: Connection) -> str | None:
    """The schema that the ledger has; None: it is empty. Raises `ConfigurationError` if it is none of ours."""
    there = set(inspect(connection).get_table_names())
    if revision.name in there:
        return connection.execute(select(revision.c.version_num)).scalar()
    if "steps" in there or "episodes" in there:
        raise ConfigurationError("The ledger's tables are not of this product.", hint="Give it a database of its own.")
    return None


def upgrade(engine: Engine) -> str | None:
    """Run the migrations that are missing, all or none. Returns the schema that was there before."""
    # Half a second of imports that only those pay who change a schema.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
            # A change of a table waits for all who use it, and all who come later wait for it: rather fail than stop
            # a farm. Filling a new column may take as long as it takes.
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        found = schema_of(connection)
        if found is None or found < HEAD:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return found

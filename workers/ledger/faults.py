"""A failure of the ledger, said to whoever can put it right."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pipelines.errors import AvantError, ConfigurationError, HostError, full_disk

UP = "Check AVANT_LEDGER_URL and that it is up."
#: PostgreSQL's own codes (its appendix A), by their beginning; the longest that fits says what it is.
SENTENCES: dict[str, tuple[type[AvantError], str, str]] = {
    "08": (ConfigurationError, "The ledger's server can't be reached.", UP),
    "25P03": (HostError, "The ledger closed a transaction that stood still.", "Look for a host that is overloaded."),
    "28": (ConfigurationError, "The ledger's server refuses our name or password.", "Correct AVANT_LEDGER_URL."),
    "3D000": (ConfigurationError, "The ledger's database does not exist.", "Create it, or correct AVANT_LEDGER_URL."),
    "40P01": (HostError, "The ledger ended one of two transactions that waited for each other.", "Try again."),
    "42501": (
        ConfigurationError,
        "The ledger's server does not let us do that.",
        "Grant it, or run `avant ledger upgrade` as the tables' owner (docs/operating/ledger.md).",
    ),
    "53100": (HostError, "The ledger's server has no room left on its disk.", "Make room there."),
    "53300": (
        ConfigurationError,
        "The ledger's server takes no more connections.",
        "Raise its max_connections: each slot takes two, each command and supervisor one or two.",
    ),
    "53": (HostError, "The ledger's server lacks memory or disk.", "Read its log."),
    "55P03": (HostError, "The ledger is locked by something that takes long.", "See pg_stat_activity, then try again."),
    "57014": (HostError, "The ledger took too long to answer.", "See pg_stat_activity, then try again."),
    "57P": (ConfigurationError, "The ledger's server is starting or stopping.", "Wait until it is up."),
}


def explained(error: SQLAlchemyError) -> AvantError:
    """What failed, and what to do; never with the address, which may hold a password."""
    cause: Any = getattr(error, "orig", None)
    return _sqlite(cause) or _postgresql(cause) or _unknown(error, cause)


@contextmanager
def explaining() -> Iterator[None]:
    """Have whatever fails in opening a ledger end as an error of ours, without the address and its password."""
    try:
        yield
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(
            "The ledger's address can't be used.", hint="Set AVANT_LEDGER_URL to sqlite:///path or postgresql://…"
        ) from error
    except SQLAlchemyError as error:
        raise explained(error) from error


def _sqlite(cause: Any) -> AvantError | None:
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name == "SQLITE_FULL":
        return full_disk()
    if name.startswith("SQLITE_IOERR"):  # also what a full disk is called when the shared index can't grow
        return HostError(f"The ledger's disk fails ({name}).", hint="See that it has room, and what its log says.")
    return None


def _postgresql(cause: Any) -> AvantError | None:
    code = str(getattr(cause, "sqlstate", None) or "")
    fitting = max((begin for begin in SENTENCES if code.startswith(begin)), key=len, default=None)
    if fitting is None:
        return None
    kind, sentence, hint = SENTENCES[fitting]
    return kind(sentence, hint=hint)


def _unknown(error: SQLAlchemyError, cause: Any) -> AvantError:
    """What has no code. libpq's reason for not connecting has none, but says where and why, and never a password."""
    said = str(cause or "").strip().splitlines()
    if hasattr(cause, "sqlstate") and said:
        return ConfigurationError(f"The ledger can't be used: {said[0].rstrip('.')}.", hint=UP)
    return ConfigurationError(f"The ledger can't be used: {type(error).__name__}.", hint=UP)

"""When a run in the foreground stops waiting, and what it then says."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from sqlite3 import OperationalError as SQLiteError
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from pipelines.errors import AvantError, ConfigurationError, HostError, Interrupted
from tests.fakes.farm import plan, step
from workers.ledger import Fault, Overview, StepView, explained
from workers.production import HOST_FAULTS, _give_up_if_stuck

NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
FAULT = Fault(kind="HostError", message="The disk is full.", hint="Make room.", retryable=True, who="operator")
WAITING = StepView(
    step=step("chunk"),
    state="ready",
    progress=0.0,
    attempts=HOST_FAULTS,
    host=None,
    worker=None,
    started_at=NOW,
    finished_at=NOW,
    not_before=NOW,
    fault=FAULT,
)


def overview(**changed: Any) -> Overview:
    return Overview(
        plan=plan("e", [WAITING.step]),
        deadline=None,
        submitted_at=NOW,
        now=NOW,
        steps=(replace(WAITING, **changed),),
        made=frozenset(),
    )


def test_a_fault_of_this_host_is_not_waited_out() -> None:
    """There is no better host to wait for, and whoever can make room sits at the terminal."""
    with pytest.raises(HostError, match="chunk: The disk is full") as raised:
        _give_up_if_stuck(overview())
    assert raised.value.hint == "Make room."


def test_what_was_called_off_is_not_waited_for() -> None:
    with pytest.raises(Interrupted, match="`e` was cancelled"):
        _give_up_if_stuck(replace(overview(state="waiting", fault=None), cancelled_at=NOW))


@pytest.mark.parametrize(
    "changed",
    [
        {"attempts": HOST_FAULTS - 1},
        {"state": "running"},
        {"fault": replace(FAULT, kind="StoreError")},
        {"fault": None},
    ],
)
def test_what_may_pass_is_waited_for(changed: Mapping[str, Any]) -> None:
    """The first faults, an attempt that is under way, a store that may come back."""
    _give_up_if_stuck(overview(**changed))


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("SQLITE_FULL", HostError, "The disk is full."),
        ("SQLITE_IOERR_SHMSIZE", HostError, "The ledger's disk fails (SQLITE_IOERR_SHMSIZE)."),
        ("SQLITE_BUSY", ConfigurationError, "The ledger can't be used: OperationalError."),
        ("", ConfigurationError, "The ledger can't be used: OperationalError."),
    ],
)
def test_a_ledger_that_fails_is_explained(name: str, kind: type[AvantError], sentence: str) -> None:
    """By who can put it right."""
    cause = SQLiteError("whatever it says")
    if name:
        cause.sqlite_errorname = name
    found = explained(OperationalError("INSERT", {}, cause))
    assert (type(found), found.message) == (kind, sentence)


class ServerError(Exception):
    """As psycopg's errors say what they are."""

    def __init__(self, said: str, sqlstate: str | None) -> None:
        super().__init__(said)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("53100", HostError, "The ledger's server has no room left on its disk."),
        ("53200", HostError, "The ledger's server lacks memory or disk."),
        ("53300", ConfigurationError, "The ledger's server takes no more connections."),
        ("57P03", ConfigurationError, "The ledger's server is starting or stopping."),
        ("55P03", HostError, "The ledger is locked by something that takes long."),
        ("42501", ConfigurationError, "The ledger's server does not let us do that."),
        ("XX000", ConfigurationError, "The ledger can't be used: what it says."),
        (None, ConfigurationError, "The ledger can't be used: what it says."),
    ],
)
def test_a_ledgers_server_that_fails_is_explained(code: str | None, kind: type[AvantError], sentence: str) -> None:
    """By the longest of its codes that fits; without one, in libpq's words, of which the first line is enough."""
    found = explained(OperationalError("INSERT", {}, ServerError("what it says.\nand more", code)))
    assert (type(found), found.message) == (kind, sentence)
    assert found.hint

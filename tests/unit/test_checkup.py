"""What is wrong with a part is said in one sentence, with what to do."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.errors import ConfigurationError
from workers.broker import Manner
from workers.checkup import Check, of_broker, of_ledger, of_settings, private
from workers.ledger.health import Health
from workers.ledger.migrate import HEAD
from workers.settings import Settings

HEALTH = Health(
    server="postgresql 15.18",
    major=15,
    schema=HEAD,
    now=datetime(2026, 11, 29, tzinfo=UTC),
    private=True,
    replica=False,
    denied=(),
    settings={"fsync": "on", "synchronous_commit": "on", "autovacuum": "on", "max_connections": "100"},
    slots=8,
    hosts=2,
)
MANNER = Manner(server="valkey 9.1.2", policy="noeviction", replica=False, stuck=False)
HOME = "unix://:pw@/run/avant/broker.sock"


def wrong(checks: Iterable[Check]) -> list[tuple[str, str]]:
    """What is not ok; each has something to do about it."""
    found = [check for check in checks if check.verdict != "ok"]
    assert all(check.hint and check.found.endswith(".") for check in found)
    return [(check.what, check.verdict) for check in found]


def test_a_good_farm_has_nothing_to_answer_for() -> None:
    assert wrong([*of_ledger(HEALTH), *of_broker(MANNER, HOME)]) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"major": 13, "server": "postgresql 13.9"}, ("ledger", "fail")),
        ({"replica": True}, ("ledger", "fail")),
        ({"schema": "9999"}, ("ledger schema", "fail")),
        ({"schema": None}, ("ledger schema", "warn")),
        ({"denied": ("INSERT on steps",)}, ("ledger rights", "fail")),
        ({"private": False}, ("ledger TLS", "warn")),
        ({"settings": {"fsync": "off"}}, ("ledger fsync", "warn")),
        ({"settings": {"synchronous_commit": "off"}}, ("ledger synchronous_commit", "warn")),
        ({"settings": {"autovacuum": "off"}}, ("ledger autovacuum", "warn")),
        ({"slots": 100}, ("ledger connections", "warn")),
    ],
)
def test_what_is_wrong_with_a_ledger(changed: dict[str, Any], expected: tuple[str, str]) -> None:
    assert wrong(of_ledger(replace(HEALTH, **changed))) == [expected]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"policy": "volatile-lru"}, ("broker memory", "fail")),
        ({"replica": True}, ("broker", "fail")),
        ({"stuck": True}, ("broker", "fail")),
    ],
)
def test_what_is_wrong_with_a_broker(changed: dict[str, Any], expected: tuple[str, str]) -> None:
    assert wrong(of_broker(replace(MANNER, **changed), HOME)) == [expected]


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("redis://[::1]:6379/0", True),
        ("http://localhost:8333", True),
        ("rediss://broker.example.net", True),
        ("unix:///run/broker.sock", True),
        ("redis://10.0.0.7:6379", False),
        ("http://store.example.net", False),
    ],
)
def test_who_can_listen(address: str, alone: bool) -> None:
    assert private(address) == alone


def test_what_only_makes_sense_together() -> None:
    """On a farm, names are made with one key; an address that can't be reported to is said before a step fails."""
    assert wrong(of_settings(Settings(s3_endpoint="http://store.example.net"))) == [
        ("naming key", "warn"),
        ("object store TLS", "warn"),
    ]
    with pytest.raises(ConfigurationError, match="AVANT_SENTRY_DSN") as raised:
        list(of_settings(Settings(sentry_dsn=SecretStr("sentry.example.net"))))
    assert "sentry.example.net" not in str(raised.value)

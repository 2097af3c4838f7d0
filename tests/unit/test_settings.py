"""Settings come from the environment, travel to children by it, and keep secrets out of sight."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.settings import Settings, mistaken


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AVANT_{name.upper()}", raising=False)


def test_data_goes_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Settings().home == Path("/data/avant")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert Settings().home == Path("/home/ann/.local/share/avant")


def test_the_ledger_is_embedded_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVANT_HOME", "/data")
    assert Settings().ledger_address == "sqlite:////data/ledger.db"
    monkeypatch.setenv("AVANT_LEDGER_URL", "postgresql://db/avant")
    assert Settings().ledger_address == "postgresql://db/avant"


def test_a_child_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was filled in for embedded services reaches the workers, secrets included."""
    given = Settings(home=Path("/data"), broker_url="unix://:pw@/b", s3_secret_key="s3", slots=3)
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_secrets_are_not_shown() -> None:
    """A settings object may end up in a log or a traceback."""
    shown = repr(
        Settings(
            broker_url="redis://:hush@h", ledger_url="postgresql://u:hush@h/d", s3_secret_key="hush", naming_key="hush"
        )
    )
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SLOTS", "many", "AVANT_SLOTS: Input should be a valid integer, unable to parse string as an integer."),
        ("BROKER_URL", "redis//:hush@h", "AVANT_BROKER_URL: String should match pattern '^(rediss?|unix)://'."),
        ("S3_ENDPOINT", "hush@store", "AVANT_S3_ENDPOINT: String should match pattern '^https?://[^/]'."),
    ],
)
def test_a_mistaken_setting_is_named(name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, without the value, which may be a secret."""
    monkeypatch.setenv(f"AVANT_{name}", value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert mistaken(raised.value).message == sentence

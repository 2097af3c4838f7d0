"""What a farm's worker must be told before it begins."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.errors import ConfigurationError
from scripts.avant.__main__ import app
from workers.serve import GRACE, check_addresses
from workers.settings import Settings

WHOLE = {
    "ledger_url": "postgresql://l/avant",
    "broker_url": "redis://b",
    "s3_endpoint": "http://s",
}


@pytest.mark.parametrize(
    ("missing", "sentence", "hint"),
    [
        (["broker_url"], "Nothing says where the farm has its broker.", "Set AVANT_BROKER_URL."),
        (["ledger_url"], "Nothing says where the farm has its ledger.", "Set AVANT_LEDGER_URL."),
        (["s3_endpoint"], "Nothing says where the farm has its object store.", "Set AVANT_S3_ENDPOINT."),
        (
            ["s3_endpoint", "broker_url"],
            "Nothing says where the farm has its broker, object store.",
            "Set AVANT_BROKER_URL, AVANT_S3_ENDPOINT.",
        ),
    ],
)
def test_a_worker_says_which_address_is_missing(missing: list[str], sentence: str, hint: str) -> None:
    """Rather than start parts of its own, in which there will never be any work."""
    told = {name: value for name, value in WHOLE.items() if name not in missing}
    with pytest.raises(ConfigurationError) as refused:
        check_addresses(Settings.model_validate(told))
    assert (refused.value.message, refused.value.hint) == (sentence, hint)


def test_a_worker_that_knows_the_farm_begins() -> None:
    check_addresses(Settings.model_validate(WHOLE))


def test_operators_are_told_the_grace_time_that_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs/operating/workers.md").read_text()
    assert f"`--grace` seconds (default {GRACE:.0f})" in page


def test_the_units_options_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """As deploy/systemd/avant-worker@.service and its worker.env give them: only the addresses are missing here."""
    for name in WHOLE:
        monkeypatch.delenv(f"AVANT_{name.upper()}", raising=False)
    words = ["worker", "--slots", "8", "--lanes", "encode, audio", "--grace", "60"]
    with pytest.raises(ConfigurationError, match="its broker, ledger, object store"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_lane_that_there_is_not_is_not_understood() -> None:
    ended = CliRunner().invoke(app, ["worker", "--lanes", "encod"])
    assert ended.exit_code == 2
    assert "did you mean `encode`?" in ended.stderr

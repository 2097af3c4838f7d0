"""`avant submit`: a farm's ledger is all it needs."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipelines.errors import DeliveryError
from scripts.avant.submit import submit
from tests.fakes import spine
from workers.ledger import open_ledger


def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(submit)
    return app


def test_an_episode_is_handed_in_without_any_service(
    delivery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is planned and ready to be claimed; nothing was started and nothing runs."""
    settings = spine.settings(tmp_path / "home", delivery)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    ran = CliRunner().invoke(command(), [str(delivery), "--json"], catch_exceptions=False)
    told = json.loads(ran.stdout)
    assert (told["episode"], told["tracks"]) == (spine.EPISODE, list(spine.TRACKS))
    assert told["steps"] == {"run": len(spine.STEPS), "planned": len(spine.STEPS)}
    ledger = open_ledger(settings.ledger_address)
    overview = ledger.overview(spine.EPISODE)
    assert overview
    assert (overview.plan.version, ledger.look().ready["encode"]) == (told["digest"], 2)
    assert [path.name for path in settings.home.iterdir() if not path.name.startswith("ledger.db")] == []
    ledger.close()


def test_a_bad_checksum_is_refused_before_anything_is_kept(
    delivery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was found and what was declared; the ledger knows of no episode."""
    settings = spine.settings(tmp_path / "home", delivery)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    wrong = tmp_path / "episode.toml"
    text = delivery.read_text().replace('file = "', f'file = "{delivery.parent}/')
    wrong.write_text(text.replace("[mezzanine]", f'[mezzanine]\nsha256 = "{"0" * 64}"'))
    with pytest.raises(DeliveryError, match=r"^\S+ has sha256 [0-9a-f]{64}, not 0{64} as declared\.$"):
        CliRunner().invoke(command(), [str(wrong)], catch_exceptions=False)
    ledger = open_ledger(settings.ledger_address)
    assert ledger.episodes() == ()
    ledger.close()

"""The operators' commands, as they are typed: what they say, and how they end."""

import inspect
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines.errors import ConfigurationError, DeliveryError, Interrupted, StoreError
from scripts.avant.__main__ import app
from tests.fakes.farm import claimed, made, plan, step
from workers import host
from workers.ledger import Ledger, open_ledger


@pytest.fixture
def ledger(ledger_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A farm's: two hosts, one episode, of which a step failed, one runs and one waits for the first."""
    monkeypatch.setenv("AVANT_LEDGER_URL", ledger_address)
    monkeypatch.setenv("AVANT_HOME", str(tmp_path / "home"))
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1000, slots=["heavy", "heavy", "light"])
    one.enrol("idle", memory=1000, slots=[])
    a = step("a")
    one.submit(plan("e", [a, step("b"), step("c", needs=[a])]), deadline=soon())
    held = claimed(one)
    one.fail(held.step.id, held.token, DeliveryError("It has no sound.", hint="Send it again."))
    claimed(one)
    yield one
    one.close()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def avant(*words: str) -> Result:
    return CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "200"})


def told(*words: str) -> Any:
    ended = avant(*words, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def test_status_shows_hosts_lanes_and_episodes(ledger: Ledger) -> None:
    ledger.drain("idle", drained=True)
    ledger.pause_lane("warm", paused=True)
    found = told("status")
    assert [(one["host"], one["running"], one["drained"]) for one in found["hosts"]] == [
        ("h", 1, False),
        ("idle", 0, True),
    ]
    assert [one["lane"] for one in found["lanes"] if one["paused"]] == ["warm"]
    (episode,) = found["episodes"]
    assert (episode["episode"], episode["made"], episode["running"], episode["failed"]) == ("e", 0, 1, 1)
    assert 3500 < episode["slack_s"] < 3600
    text = avant("status").stdout
    assert "drained" in text
    assert "paused" in text


def test_status_of_an_episode_says_what_failed_and_who_can_put_it_right(ledger: Ledger) -> None:
    found = told("status", "e")
    failed, running, stopped, last = found["steps"]
    assert (failed["state"], failed["attempts"], failed["host"]) == ("failed", 1, "h")
    assert failed["fault"] == {
        "class": "DeliveryError", "message": "It has no sound.", "hint": "Send it again.", "who": "deliverer",
    }  # fmt: skip
    assert (running["state"], running["host"], running["attempts"]) == ("running", "h", 1)
    assert 0 <= running["age_s"] < 60
    assert running["slack_s"] > 3500
    assert stopped["stopped_by"] == last["stopped_by"] == failed["id"]
    text = avant("status", "e").stdout
    assert "waits for `a`, which failed" in text
    assert "Whoever sent the delivery can put it right" in text


def test_status_of_an_episode_says_when_it_will_be_ready(ledger: Ledger) -> None:
    """Likely, and with 95 % certainty; not while something failed, or a lane that it needs is paused."""
    assert told("status", "e")["ready_in_s"] is None
    ledger.retry("e")
    found = told("status", "e")["ready_in_s"]
    assert 0 < found["p50"] <= found["p95"] < 60
    assert "(p95)" in avant("status", "e").stdout
    ledger.pause_lane("control", paused=True)
    assert told("status", "e")["ready_in_s"] is None
    assert "paused" in avant("status", "e").stdout


def test_hosts_and_lanes_are_held_by_name(ledger: Ledger) -> None:
    assert told("drain", "h") == {"host": "h", "drained": True, "running": 1}
    assert told("undrain", "h")["drained"] is False
    assert told("pause", "encode") == {"lane": "encode", "paused": True, "ready": 0, "running": 1}
    assert told("resume", "encode")["paused"] is False
    assert avant("pause", "encodes").exit_code == 2
    with pytest.raises(ConfigurationError, match="no host `x`"):
        avant("drain", "x")


def test_a_retry_says_what_is_tried_again(ledger: Ledger) -> None:
    assert told("retry", "e", "a") == {"episode": "e", "retried": ["compose-a"]}
    assert "Nothing of e has failed." in avant("retry", "e").stderr


def test_calling_off_can_be_tried_first(ledger: Ledger) -> None:
    """What would be stopped is what then is."""
    would = told("cancel", "e", "--dry-run")
    assert (would["dry_run"], would["stopped"], len(would["dropped"])) == (True, ["compose-b"], 3)
    assert told("status", "e")["cancelled"] is False
    assert told("cancel", "e") == {**would, "dry_run": False}
    assert told("status", "e")["cancelled"] is True
    assert "cancelled" in avant("status").stdout


def test_a_bump_takes_a_wall_time_and_a_zone(ledger: Ledger) -> None:
    found = told("bump", "e", "--deadline", "2026-11-29 03:00 Europe/Paris")
    assert (found["deadline"], found["steps"]) == ("2026-11-29T02:00:00+00:00", 4)
    assert told("status", "e")["deadline"] == found["deadline"]
    assert told("bump", "e", "--first")["deadline"] is None


@pytest.mark.parametrize(
    "words",
    [
        ["--first", "--deadline", "2026-11-29 03:00 UTC"],
        [],
        ["--deadline", "tomorrow"],
        ["--deadline", "2026-11-29 03:00 Europe/Pari"],
        ["--deadline", "2026-03-29 02:30 Europe/Paris"],
        ["--deadline", "2026-10-25 02:30 Europe/Paris"],
    ],
)
def test_a_deadline_that_means_no_instant_is_not_understood(ledger: Ledger, words: list[str]) -> None:
    """Both options, none, no time, no zone, an hour that is missing, an hour that comes twice."""
    assert avant("bump", "e", *words).exit_code == 2


def test_logs_are_of_this_host_and_name_the_others(ledger: Ledger, tmp_path: Path) -> None:
    """In order of time, from all its slots; a line that was cut off is left out."""
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    line = {"level": "info", "episode": "e", "step": "compose-a", "host": host.name()}
    (logs / "heavy-1.log").write_text(
        "pretty words\n"
        + json.dumps({**line, "event": "step.failed", "timestamp": "2026-11-29T02:00:02Z"})
        + "\n"
        + json.dumps({**line, "step": "compose-z", "event": "step.done", "timestamp": "2026-11-29T02:00:03Z"})
        + '\n{"event": "step.sta'
    )
    (logs / "heavy-2.log").write_text(
        json.dumps({**line, "event": "step.started", "timestamp": "2026-11-29T02:00:01Z"}) + "\n"
    )
    for what in ("compose-a", "e"):
        assert [one["event"] for one in told("logs", what)["lines"]] == ["step.started", "step.failed"]
    assert told("logs", "compose-a")["elsewhere"] == {"h": ["compose-a"]}
    text = avant("logs", "e")
    assert text.stdout.splitlines()[0].startswith("2026-11-29T02:00:01Z info step.started ")
    assert "h has the last attempts of compose-a, compose-b: run `avant logs` there." in text.stderr
    with pytest.raises(ConfigurationError, match="no step or episode `x`"):
        avant("logs", "x")


def test_watching_ends_when_the_episode_is_ready(ledger: Ledger) -> None:
    ledger.submit(plan("f", [step("d")]), deadline=None)
    ledger.bump("f", None)
    with ThreadPoolExecutor(1) as other:
        watched = other.submit(told, "watch", "f")
        for _ in range(2):
            held = claimed(ledger)
            ledger.commit(held.step.id, held.token, made(held.step))
        assert watched.result(timeout=60)["ready"] is True


def test_watching_ends_with_the_error_of_what_failed(ledger: Ledger) -> None:
    """Once nothing else of the episode can go on; the exit code is its class's."""
    ledger.bury("h/1")
    second = claimed(ledger)
    ledger.commit(second.step.id, second.token, made(second.step))
    with pytest.raises(DeliveryError, match=r"a: It has no sound\."):
        avant("watch", "e")


def test_watching_a_cancelled_episode_ends(ledger: Ledger) -> None:
    ledger.cancel("e")
    with pytest.raises(Interrupted, match="was cancelled"):
        avant("watch", "e")


def test_what_waits_for_a_service_says_so(ledger: Ledger) -> None:
    ledger.submit(plan("f", [step("d")]), deadline=soon() - timedelta(minutes=30))
    held = claimed(ledger)
    ledger.fail(held.step.id, held.token, StoreError("The store is down."))
    waiting = told("status", "f")["steps"][0]
    assert (waiting["state"], waiting["fault"]["who"], waiting["stopped_by"]) == ("ready", "operator", None)


def test_every_command_that_tells_something_tells_it_to_programs_too() -> None:
    """All take --json but those that work until they are stopped."""
    without = [
        command.callback.__name__
        for command in app.registered_commands
        if command.callback and "as_json" not in inspect.signature(command.callback).parameters
    ]
    assert set(without) == {"clock", "worker", "metrics"}

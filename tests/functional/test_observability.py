"""What the farm tells of itself: slots that are real processes, and a Sentry on loopback that decodes what it hears."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.errors import ConfigurationError
from tests.fakes.careless_slot import LEAKS, SECRETS, SOURCE
from tests.fakes.episode import Episode
from tests.fakes.farm import broker, plan, step, until
from tests.fakes.logs import as_before, events
from tests.fakes.sentry import KEY, Inbox, inbox
from workers import observability
from workers.crew import GRACE
from workers.lanes import HEAVY
from workers.ledger import Ledger, open_ledger
from workers.observability.reports import PATIENCE
from workers.settings import Settings
from workers.slot import DRAIN
from workers.supervisor import Supervisor


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def sentry() -> Iterator[Inbox]:
    with inbox() as box:
        yield box


@pytest.fixture
def settings(address: str, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        broker_url=address,
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="nobody",
        s3_secret_key=SecretStr("open-sesame"),
        naming_key=SecretStr("00"),
        log_format="json",
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    one = open_ledger(settings.ledger_address)
    yield one
    one.close()


def reporting(settings: Settings, address: str) -> Settings:
    return settings.model_copy(update={"sentry_dsn": SecretStr(address)})


def worked(settings: Settings, ledger: Ledger, module: str, *, states: list[str]) -> None:
    """Have three slots work until the steps of `e` are in these states; return when they have ended."""
    with Supervisor(settings, ledger, slots=(HEAVY,) * 3, module=module) as crew:
        until(lambda: found(ledger) == states, meanwhile=crew.poll)


def found(ledger: Ledger) -> list[str]:
    overview = ledger.overview("e")
    return [view.state for view in overview.steps] if overview else []


def test_a_step_that_fails_for_good_is_one_event(settings: Settings, ledger: Ledger, sentry: Inbox) -> None:
    """Of three attempts; with who, where, the whole command and its last words, and without any secret."""
    bad = step("bad", does="leak")
    submitted = ledger.submit(plan("e", [bad, step("good")]), deadline=None)
    settings = reporting(settings, sentry.address)
    worked(settings, ledger, "tests.fakes.careless_slot", states=["failed", "done", "waiting"])
    (event,) = sentry.events
    host = event["tags"]["host"]
    assert event["tags"] == {
        "episode": "e", "step": bad.id, "kind": "compose", "host": host, "trace": submitted.trace,
    }  # fmt: skip
    told = event["contexts"]["step"]
    assert (told["label"], told["attempt"], told["worker"].partition("/")[0]) == ("bad", 3, host)
    assert event["contexts"]["trace"]["trace_id"] == submitted.trace
    tool = event["contexts"]["tool"]
    assert (tool["argv"][:3], len(tool["argv"]), tool["status"]) == (["ls", "-d", SOURCE], 15 + len(LEAKS), 2)
    assert SOURCE in tool["tail"]
    assert event["exception"]["values"][-1]["type"] == "ToolError"
    assert not [frame for frame in event["exception"]["values"][-1]["stacktrace"]["frames"] if "vars" in frame]
    assert [secret for secret in (*SECRETS, KEY) if secret in json.dumps(sentry.events)] == []
    logs = "".join(path.read_text() for path in (settings.home / "logs").glob("heavy-*.log"))
    assert [secret for secret in (*SECRETS, KEY) if secret in logs] == []
    assert [logs.count(f'"event": "step.{ending}"') for ending in ("retried", "failed", "done")] == [2, 1, 1]


@pytest.mark.parametrize("answering", [True, False])
def test_a_sentry_that_does_not_answer_delays_no_step(
    settings: Settings, ledger: Ledger, answering: bool, unused_port: int
) -> None:
    """Whether it takes reports and says nothing, or is not there: what follows is done, and the slot ends by itself."""
    failing = [step(f"bad-{number}", does="fail") for number in range(3)]
    ledger.submit(plan("e", [*failing, *(step(f"good-{number}") for number in range(20))]), deadline=None)
    with inbox(answering=False) as silent:
        address = silent.address if answering else f"http://{KEY}@127.0.0.1:{unused_port}/1"
        wanted = ["failed"] * 3 + ["done"] * 20 + ["waiting"]
        with Supervisor(reporting(settings, address), ledger, slots=(HEAVY,), module="tests.fakes.slot") as crew:
            until(lambda: found(ledger) == wanted, meanwhile=crew.poll)
            ending = time.monotonic()
        assert time.monotonic() - ending < PATIENCE + 2
    walls = [event["wall_s"] for event in events(settings.home) if event["event"] == "step.failed"]
    assert len(walls) == 3
    assert max(walls) < 1
    assert [event["event"] for event in events(settings.home)].count("slot.stopped") == 1


def test_a_slot_has_time_to_send_its_reports() -> None:
    """Before its supervisor kills it."""
    assert DRAIN + PATIENCE < GRACE


def test_reports_are_set_up_before_the_broker_is_opened(settings: Settings, sentry: Inbox) -> None:
    """Or nobody would hear of a broker that can't be."""
    program = (
        "import sys; from pipelines.errors import ConfigurationError; from workers.lanes import HEAVY;"
        "from workers.settings import Settings; from workers.slot import run_slot\n"
        "try: run_slot(Settings(), HEAVY, name='h/heavy-1', dispatch={})\n"
        "except ConfigurationError as error: print(error.message, sys.modules['sentry_sdk'].is_initialized())"
    )
    bad = reporting(settings, sentry.address).model_copy(update={"broker_url": "redis://h:port/0"})
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **bad.environment()},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == "The broker's address can't be used. True"


def test_a_quarantined_step_is_one_event(settings: Settings, ledger: Ledger, sentry: Inbox) -> None:
    """Nobody is left who could report it but the supervisor; the four deaths before are lines in its log."""
    stream = io.StringIO()
    submitted = ledger.submit(plan("e", [step("poison", does="crash")]), deadline=None)
    with as_before():
        observability.configure(reporting(settings, sentry.address), stream)
        worked(settings, ledger, "tests.fakes.slot", states=["quarantined", "waiting"])
        until(lambda: bool(sentry.events))
    (event,) = sentry.events
    tags = event["tags"]
    assert (event["message"], event["level"]) == ("A step was quarantined: its workers vanish.", "error")
    assert (tags["episode"], tags["step"], tags["trace"]) == ("e", "compose-poison", submitted.trace)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    taken = [line for line in lines if line["event"] == "step.taken"]
    assert [line["how"] for line in taken] == ["died"] * 5
    assert {line["trace"] for line in taken} == {submitted.trace}
    assert [line["event"] for line in lines].count("step.quarantined") == 1


def test_an_address_that_is_none_is_refused(settings: Settings) -> None:
    """Before anything is begun, and without a word of it: it may be a secret."""
    with as_before(), pytest.raises(ConfigurationError, match="AVANT_SENTRY_DSN is not") as refused:
        observability.configure(reporting(settings, "open-sesame.example.net"))
    assert "open-sesame" not in refused.value.message + refused.value.hint


def test_nothing_is_reported_unless_somewhere_is_named(settings: Settings, ledger: Ledger, sentry: Inbox) -> None:
    ledger.submit(plan("e", [step("bad", does="fail")]), deadline=None)
    worked(settings, ledger, "tests.fakes.slot", states=["failed", "waiting"])
    assert sentry.heard == []


def test_every_line_about_an_episode_has_its_trace(episode: Episode) -> None:
    """From its submission to its release, across all processes; and every line of every log is JSON."""
    told = events(episode.avant.settings.home)
    about: list[dict[str, Any]] = [event for event in told if "episode" in event]
    assert {event["event"] for event in about} >= {"episode.submitted", "step.started", "step.done", "release.flipped"}
    assert len({event["trace"] for event in about}) == 1
    assert len(about[0]["trace"]) == 32
    assert all(event["trace"] == about[0]["trace"] for event in told if "step" in event)

"""The farm in figures: what the ledger says of all, what slots count, how Prometheus gets it."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from pipelines.errors import HostError
from pipelines.tools import process
from tests.fakes.farm import broker, claim, claimed, made, plan, step, until
from workers.broker import Tickets, open_broker
from workers.lanes import HEAVY
from workers.ledger import Ledger, open_ledger
from workers.metrics import FAMILIES, Exporter, exposition, serve
from workers.settings import Settings
from workers.supervisor import Supervisor

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def settings(ledger_address: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, ledger_url=ledger_address, log_format="json")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    one = open_ledger(settings.ledger_address)
    one.enrol("h", memory=1 << 30, slots=["heavy", "heavy", "light"])
    yield one
    one.close()


def scraped(settings: Settings, *, farm: bool = True) -> dict[Sample, float]:
    exporter = Exporter(settings, farm=farm)
    try:
        return parsed(exposition(exporter))
    finally:
        exporter.close()


def parsed(text: str) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def at(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def test_what_waits_how_late_it_is_and_who_is_there(settings: Settings, ledger: Ledger) -> None:
    """By lane; slack is of the most urgent step that has not begun, and bulk is never late."""
    first = step("first", tail=600)
    soon = ledger.now() + timedelta(seconds=500)
    ledger.submit(plan("e", [first, step("second", lane="package", needs=[first], tail=100)]), deadline=soon)
    ledger.submit(plan("bulk", [step("audio", lane="audio")]), deadline=None)
    ledger.pause_lane("audio", paused=True)
    found = scraped(settings)
    assert found[at("avant_steps", state="ready", lane="encode")] == 1
    assert found[at("avant_steps", state="waiting", lane="package")] == 1
    assert found[at("avant_steps", state="running", lane="encode")] == 0
    assert found[at("avant_slack_seconds", lane="encode", urgency="must")] == pytest.approx(-100, abs=20)
    assert found[at("avant_slack_seconds", lane="package", urgency="must")] == pytest.approx(400, abs=20)
    assert at("avant_slack_seconds", lane="audio", urgency="must") not in found
    assert 0 <= found[at("avant_queue_age_seconds", lane="encode")] < 20
    assert 0 <= found[at("avant_queue_age_seconds", lane="audio")] < 20
    assert at("avant_queue_age_seconds", lane="package") not in found
    assert found[at("avant_slots", host="h", slots="heavy")] == 2
    assert [found[at("avant_lane_paused", lane=lane)] for lane in ("encode", "audio")] == [0, 1]
    assert found[at("avant_ledger_up")] == 1
    (offset,) = (value for (name, _), value in found.items() if name == "avant_clock_offset_seconds")
    assert abs(offset) < 1


def test_a_queue_is_as_old_as_its_head_could_have_been_claimed(settings: Settings, ledger: Ledger) -> None:
    """From the last input that it waited for, not from when it was submitted; nor while a pause is on."""
    parts = [step("a"), step("b", lane="package")]
    ledger.submit(plan("e", [*parts, step("c", lane="warm", needs=parts)]), deadline=None)
    with ledger._write() as connection:
        connection.exec_driver_sql("UPDATE episodes SET submitted_at = submitted_at - 1000")
    assert scraped(settings)[at("avant_queue_age_seconds", lane="encode")] == pytest.approx(1000, abs=20)
    for _ in parts:
        held = claimed(ledger)
        ledger.commit(held.step.id, held.token, made(held.step))
    found = scraped(settings)
    assert found[at("avant_queue_age_seconds", lane="warm")] < 20
    assert at("avant_queue_age_seconds", lane="encode") not in found


def test_an_episode_that_is_not_warm_in_time_is_seen(settings: Settings, ledger: Ledger) -> None:
    """The next deadline alone, as long as its warming is not done; also once it is past."""
    for name, seconds in (("near", 1800), ("late", -60), ("far", 100_000)):
        due = ledger.now() + timedelta(seconds=seconds)
        ledger.submit(plan(name, [step(f"warm-{name}", lane="warm")]), deadline=due)
    lacking = at("avant_release_lacking_seconds", lacking="warmth")
    assert scraped(settings)[lacking] == pytest.approx(-60, abs=20)
    held = claim(ledger, lanes=["warm"])
    assert held
    ledger.commit(held.step.id, held.token, made(held.step))
    assert scraped(settings)[lacking] == pytest.approx(1800, abs=20)
    held = claim(ledger, lanes=["warm"])
    assert held
    ledger.commit(held.step.id, held.token, made(held.step))
    assert lacking not in scraped(settings)


def test_what_needs_somebody_is_counted(settings: Settings, ledger: Ledger) -> None:
    """Quarantined and failed; what is done is not, since that only grows."""
    ledger.submit(plan("e", [step("a"), step("b")]), deadline=None)
    for _ in range(5):
        claimed(ledger, lease=-1)
        assert [taken.step for taken in ledger.expire()] == ["compose-a"]
    held = claimed(ledger)
    ledger.fail(held.step.id, held.token, ValueError("x"))
    found = scraped(settings)
    assert found[at("avant_steps", state="quarantined", lane="encode")] == 1
    assert found[at("avant_steps", state="failed", lane="encode")] == 1
    assert not [name for name, labels in found if ("state", "done") in labels]


def test_a_steps_holder_and_trace_are_known_when_it_is_taken(settings: Settings, ledger: Ledger) -> None:
    """What the trace is follows from the ledger: of a claim, of a loss, of a release."""
    submitted = ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    (taken,) = ledger.bury("h/1")
    assert (taken.worker, taken.host, taken.label, taken.kind) == ("h/1", "h", "a", "compose")
    assert {submitted.trace, held.trace, taken.trace, ledger.trace("e", held.step.makes[0])} == {submitted.trace}
    assert ledger.trace("e", "no such version") == ""
    again = ledger.submit(plan("e", [step("a")]), deadline=None)
    assert again.trace != submitted.trace
    assert claimed(ledger).trace == again.trace


ONE_LEDGER = pytest.mark.parametrize("ledger_address", ["sqlite"], indirect=True)


@ONE_LEDGER
def test_slots_count_what_they_did(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """Whatever became of the slots since; the supervisor counts what they lost."""
    ledger.submit(
        plan("e", [step("a"), step("b"), step("bad", does="fail"), step("poison", does="crash")]), deadline=None
    )
    with broker(tmp_path / "broker") as url:
        unused = {"s3_endpoint": "http://127.0.0.1:1", "s3_access_key": "n", "naming_key": SecretStr("00")}
        settings = settings.model_copy(update={"broker_url": url, "s3_secret_key": SecretStr("n"), **unused})
        with Supervisor(settings, ledger, slots=(HEAVY,) * 3, module="tests.fakes.slot") as crew:
            states = ["done", "done", "failed", "quarantined", "waiting"]
            until(lambda: [view.state for view in ledger.overview("e").steps] == states, meanwhile=crew.poll)  # type: ignore[union-attr]
        Tickets(open_broker(url)).send(HEAVY)
        found = scraped(settings)
    totals = {
        (name, *sorted(value for label, value in labels if label != "host")): value
        for (name, labels), value in found.items()
    }
    assert totals["avant_attempts_total", "compose", "done"] == 2
    assert totals["avant_attempts_total", "compose", "retried"] == 2
    assert totals["avant_attempts_total", "compose", "failed"] == 1
    assert totals["avant_leases_lost_total", "died"] == 5
    assert totals["avant_leases_lost_total", "silent"] == 0
    assert totals["avant_stored_bytes_total", "version"] == 2
    assert totals["avant_tickets", "heavy"] >= 1
    assert totals["avant_broker_up",] == 1


def test_a_ledger_or_broker_that_is_down_is_a_figure(tmp_path: Path, unused_port: int) -> None:
    """And what the host counted is told all the same."""
    settings = Settings(
        home=tmp_path,
        ledger_url=f"postgresql://avant:hush@127.0.0.1:{unused_port}/avant",
        broker_url=f"redis://:hush@127.0.0.1:{unused_port}/0",
    )
    found = scraped(settings)
    assert (found[at("avant_ledger_up")], found[at("avant_broker_up")]) == (0, 0)
    assert [value for (name, _), value in found.items() if name == "avant_leases_lost_total"] == [0, 0]


@ONE_LEDGER
def test_a_host_may_tell_only_what_is_its_own(settings: Settings, ledger: Ledger) -> None:
    """Of a hundred exporters, one need ask the ledger for what is everybody's."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    told = {name for name, _ in scraped(settings, farm=False)}
    assert told == {"avant_ledger_up", "avant_clock_offset_seconds", "avant_leases_lost_total"}


@ONE_LEDGER
def test_no_label_grows_with_the_work(settings: Settings, ledger: Ledger) -> None:
    """A hundred episodes are no more series than one."""
    ledger.submit(plan("e0", [step("e0")]), deadline=ledger.now())
    few = len(scraped(settings))
    for number in range(1, 100):
        ledger.submit(plan(f"e{number}", [step(f"e{number}")]), deadline=ledger.now())
    assert len(scraped(settings)) == few
    assert {label for family in FAMILIES.values() for label in family.labels}.isdisjoint({"episode", "step", "worker"})


@ONE_LEDGER
def test_the_command_prints_or_serves(settings: Settings, ledger: Ledger, unused_port: int, tmp_path: Path) -> None:
    """The same text, once on stdout or at each scrape, until it is ended."""
    environment = {**os.environ, **settings.environment()}
    argv = [sys.executable, "-m", "scripts.avant", "metrics"]
    once = process.start([*argv, "--once"], env=environment, log=tmp_path / "once")
    assert once.wait() == 0
    served = process.start([*argv, "--listen", f"127.0.0.1:{unused_port}"], env=environment, log=tmp_path / "served")
    try:
        until(lambda: listens(unused_port), meanwhile=lambda: None)
        with urllib3.PoolManager() as pool:
            answer = pool.request("GET", f"http://127.0.0.1:{unused_port}/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        printed, scraped_ = parsed((tmp_path / "once").read_text()), parsed(answer.data.decode())
        assert printed.keys() == scraped_.keys()
        assert printed[at("avant_slots", host="h", slots="heavy")] == 2
        served.send_signal(signal.SIGTERM)
        assert served.wait(10) == -signal.SIGTERM
    finally:
        process.stop(served, 0)


@ONE_LEDGER
def test_a_port_that_is_taken_is_said(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HostError, match="can't be listened on"):
        serve(Exporter(settings), "127.0.0.1", taken.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

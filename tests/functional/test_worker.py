"""`avant worker` as systemd runs it: a process on a real broker, ledger and store, told to stop by signals."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.tools import process
from pipelines.tools.s3 import Store
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.farm import broker, plan, step, until
from tests.fakes.kin import kin, slots
from tests.fakes.postgres import Postgres
from tests.fakes.spine import Avant
from workers import host
from workers.lanes import LANES
from workers.ledger import Ledger, Overview, open_ledger
from workers.settings import Settings

PATIENT, HASTY = 600.0, 0.5


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def settings(address: str, server: Postgres, store_service: StoreService, store: Store, tmp_path: Path) -> Settings:
    """A farm's, all parts of which are real."""
    return Settings(
        home=tmp_path / "home",
        ledger_url=server.ledger(),
        broker_url=address,
        naming_key=SecretStr(spine.KEY),
        log_format="json",
    ).model_copy(update=spine.outside(store_service, store.bucket))


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    one = open_ledger(settings.ledger_address)
    yield one
    one.close()


class Worker:
    """A worker's process, with one slot of each class, and what it said."""

    def __init__(self, settings: Settings, *, grace: float, lanes: str = ",".join(LANES)) -> None:
        self.log = settings.home.parent / "worker.log"
        argv = [sys.executable, "-m", "tests.fakes.worker", str(grace), lanes]
        self.child = process.start(argv, env={**os.environ, **settings.environment()}, log=self.log)

    def tell(self) -> None:
        self.child.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        return self.child.wait(timeout=60)

    def said(self, event: str) -> bool:
        return f'"event": "{event}"' in self.log.read_text()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as kept:
        yield kept


def at_work(settings: Settings, stack: ExitStack, *, grace: float = PATIENT, lanes: str = ",".join(LANES)) -> Worker:
    worker = Worker(settings, grace=grace, lanes=lanes)
    stack.callback(process.stop, worker.child, 0)
    return worker


def view(ledger: Ledger, episode: str = "e") -> Overview:
    found = ledger.overview(episode)
    assert found
    return found


def state(ledger: Ledger, label: str) -> str:
    return next(one.state for one in view(ledger).steps if one.step.label == label)


def test_told_to_stop_it_finishes_what_it_has(settings: Settings, ledger: Ledger, stack: ExitStack) -> None:
    """And begins nothing more; it ends well and leaves no process and no scratch folder."""
    ledger.submit(plan("e", [step("a", does="work 3"), step("b")]), deadline=None)
    worker = at_work(settings, stack)
    until(lambda: state(ledger, "a") == "running")
    worker.tell()
    assert worker.ended() == 0
    assert [(one.state, one.attempts) for one in view(ledger).steps] == [
        ("done", 1),
        ("ready", 0),
        ("waiting", 0),
    ]
    assert kin(settings.home) == []
    assert not (settings.home / "scratch").exists()
    assert ledger.look().slots == {}


def test_told_twice_it_hands_back_at_once(settings: Settings, ledger: Ledger, stack: ExitStack) -> None:
    """No attempt is used up; whoever comes next begins where it stopped."""
    ledger.submit(plan("e", [step("a", does="work 60")]), deadline=None)
    worker = at_work(settings, stack)
    until(lambda: state(ledger, "a") == "running")
    worker.tell()
    until(lambda: worker.said("worker.draining"))
    worker.tell()
    began = time.monotonic()
    assert worker.ended() == 0
    assert time.monotonic() - began < 15
    assert [(one.state, one.attempts) for one in view(ledger).steps[:1]] == [("ready", 0)]
    assert kin(settings.home) == []


def test_what_outlasts_the_grace_time_is_handed_back(settings: Settings, ledger: Ledger, stack: ExitStack) -> None:
    ledger.submit(plan("e", [step("a", does="work 60")]), deadline=None)
    worker = at_work(settings, stack, grace=HASTY)
    until(lambda: state(ledger, "a") == "running")
    worker.tell()
    assert worker.ended() == 0
    assert [(one.state, one.attempts) for one in view(ledger).steps[:1]] == [("ready", 0)]


def test_a_drained_host_has_no_slots_until_it_is_undrained(
    settings: Settings, ledger: Ledger, stack: ExitStack
) -> None:
    """Its running step finishes; then its slots end, and take no more tickets from others; the worker stays."""
    ledger.submit(plan("e", [step("a", does="work 3"), step("b")]), deadline=None)
    at_work(settings, stack)
    until(lambda: state(ledger, "a") == "running")
    ledger.drain(host.name(), drained=True)
    until(lambda: slots(settings.home) == {})
    assert (state(ledger, "a"), state(ledger, "b")) == ("done", "ready")
    ledger.drain(host.name(), drained=False)
    until(lambda: view(ledger).ready)
    assert [one.attempts for one in view(ledger).steps] == [1, 1, 1]


def test_a_host_does_what_its_lanes_are(settings: Settings, ledger: Ledger, stack: ExitStack) -> None:
    """Nothing else, however urgent; a second worker with another home and the other lanes is not needed to see it."""
    ledger.submit(plan("e", [step("a"), step("b", lane="audio"), step("c", lane="package")]), deadline=None)
    worker = at_work(settings, stack, lanes="audio")
    until(lambda: state(ledger, "b") == "done")
    assert ledger.look().slots == {"heavy.audio": 1, "sound": 1}
    worker.tell()
    assert worker.ended() == 0
    assert [one.state for one in view(ledger).steps] == ["ready", "done", "ready", "waiting"]


def test_a_cancelled_step_is_stopped(settings: Settings, ledger: Ledger, stack: ExitStack) -> None:
    """At the next renewal of its lease; its slot goes on with what others want."""
    hasty = settings.model_copy(update={"lease_seconds": 3.0})
    ledger.submit(plan("e", [step("a", does="work 60")]), deadline=None)
    ledger.submit(plan("other", [step("b")]), deadline=None)
    at_work(hasty, stack)
    until(lambda: state(ledger, "a") == "running")
    began = time.monotonic()
    ledger.cancel("e")
    until(lambda: view(ledger, "other").ready)
    assert time.monotonic() - began < 30


def test_an_episode_goes_from_submission_to_verified(
    settings: Settings, ledger: Ledger, delivery: Path, stack: ExitStack
) -> None:
    """`avant submit` from one folder, `avant worker` in another, nothing in common but the farm's three addresses."""
    elsewhere = settings.model_copy(update={"presets": spine.presets(delivery)})
    farmhand = Avant(settings=settings)
    child = farmhand.start("worker", "--slots", "2", log=settings.home.parent / "worker.log")
    stack.callback(process.stop, child, 0)
    clerk = Avant(settings=elsewhere.model_copy(update={"home": settings.home.parent / "desk"}))
    told = clerk("submit", delivery, "--json").told
    assert told["steps"] == {"run": len(spine.STEPS), "planned": len(spine.STEPS)}
    watched = clerk("watch", spine.EPISODE, "--json", patience=240).told
    assert (watched["ready"], watched["state"]) == (True, "not-yet")
    assert {one["state"] for one in watched["steps"]} == {"done"}
    assert {one["host"] for one in watched["steps"]} == {host.name()}
    logged = farmhand("logs", watched["steps"][0]["id"], "--json").told
    assert {line["event"] for line in logged["lines"]} >= {"step.started", "step.done"}
    farm = clerk("status", "--json").told
    assert [(one["host"], one["slots"]) for one in farm["hosts"]] == [
        (host.name(), {"heavy": 2, "light": 1, "sound": 1})
    ]
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=60) == 0
    assert kin(settings.home) == []

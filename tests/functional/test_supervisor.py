"""Slots as real processes, on a real broker and ledger; only the work is make-believe."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.errors import ConfigurationError, HostError
from pipelines.wire import digest
from tests.fakes.farm import broker, plan, step, until
from tests.fakes.postgres import postgres
from workers.broker import Tickets, open_broker
from workers.lanes import HEAVY, LIGHT, SlotClass
from workers.ledger import Ledger, Overview, open_ledger
from workers.settings import Settings
from workers.supervisor import Supervisor

SLOT = "tests.fakes.slot"
#: For what has nothing to do with where the ledger is.
ONE_LEDGER = pytest.mark.parametrize("ledger_address", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def settings(address: str, ledger_address: str, tmp_path: Path) -> Settings:
    tickets = open_broker(address)
    tickets.client.flushall()
    tickets.client.close()
    return Settings(
        home=tmp_path,
        ledger_url=ledger_address,
        broker_url=address,
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="nobody",
        s3_secret_key=SecretStr("nothing"),
        naming_key=SecretStr("00"),
        log_format="json",
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    one = open_ledger(settings.ledger_address)
    yield one
    one.close()


def supervisor(settings: Settings, ledger: Ledger, slots: tuple[SlotClass, ...] = (HEAVY, LIGHT)) -> Supervisor:
    return Supervisor(settings, ledger, slots=slots, module=SLOT)


def view(ledger: Ledger) -> Overview:
    found = ledger.overview("e")
    assert found
    return found


def running(ledger: Ledger, label: str) -> bool:
    return any(one.step.label == label and one.state == "running" for one in view(ledger).steps)


def ran(settings: Settings) -> Counter[str]:
    """How often each step was done to its end, by digest."""
    return Counter((settings.home / "ran").read_text().split())


def children(pid: int) -> list[int]:
    return [int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()]


def slot_pids(crew: Supervisor) -> dict[str, int]:
    """The processes of our slots, by the end of their name, once they have all been born."""
    until(lambda: all(slot.pid for slot in crew._crew.slots), meanwhile=crew.poll)
    return {slot.name.rpartition("/")[2]: slot.pid or 0 for slot in crew._crew.slots}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_episode_is_made(settings: Settings, ledger: Ledger) -> None:
    """Every step once, in the order of what it needs, through both classes of slots."""
    a, b = step("a"), step("b", lane="audio")
    steps = [a, b, step("c", lane="package", needs=[a, b])]
    ledger.submit(plan("e", steps), deadline=None)
    with supervisor(settings, ledger) as crew:
        crew.wake()
        until(lambda: view(ledger).ready, meanwhile=crew.poll)
    assert set(ran(settings).values()) == {1}
    assert {one.state for one in view(ledger).steps} == {"done"}


def test_doubled_and_dropped_tickets_change_nothing(settings: Settings, ledger: Ledger) -> None:
    """A hundred tickets too many, then all of them gone: each step is done once."""
    ledger.submit(plan("e", [step(f"s{n}") for n in range(12)]), deadline=None)
    tickets = Tickets(open_broker(settings.broker_url or ""))
    for _ in range(100):
        tickets.send(HEAVY)
    with supervisor(settings, ledger, (HEAVY, HEAVY)) as crew:
        until((settings.home / "ran").exists, meanwhile=crew.poll)
        tickets._broker.client.flushall()
        until(lambda: view(ledger).ready, meanwhile=crew.poll)
    assert len(ran(settings)) == 13
    assert set(ran(settings).values()) == {1}


def test_a_failing_tool_is_tried_three_times_then_said(settings: Settings, ledger: Ledger) -> None:
    """The slot that met it goes on working."""
    ledger.submit(plan("e", [step("bad", does="fail"), step("good")]), deadline=None)
    with supervisor(settings, ledger, (HEAVY,)) as crew:
        until(lambda: bool(view(ledger).stuck), meanwhile=crew.poll)
        until(lambda: view(ledger).steps[1].state == "done", meanwhile=crew.poll)
    bad = view(ledger).stuck[0]
    assert (bad.state, bad.attempts, bad.fault and bad.fault.message) == ("failed", 3, "It failed.")
    log = (settings.home / "logs" / "heavy-1.log").read_text()
    assert log.count('"event": "step.retried"') == 2
    assert log.count('"event": "step.failed"') == 1


def test_a_killed_slots_step_is_done_by_its_successor(settings: Settings, ledger: Ledger) -> None:
    """At once, not when the lease runs out; its tool and its scratch folder are gone."""
    ledger.submit(plan("e", [step("long", does="work 2")]), deadline=None)
    began = time.monotonic()
    with supervisor(settings, ledger, (HEAVY,)) as crew:
        crew.wake()
        until(lambda: running(ledger, "long"), meanwhile=crew.poll)
        victim = slot_pids(crew)["heavy-1"]
        until(lambda: bool(children(victim)), meanwhile=crew.poll)
        tool = children(victim)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: view(ledger).ready, meanwhile=crew.poll)
        assert not alive(tool)
        assert list((settings.home / "scratch").iterdir()) == []
    assert time.monotonic() - began < settings.lease_seconds
    assert ran(settings)[digest("long")] == 1
    assert view(ledger).steps[0].attempts == 2


def test_a_dead_slot_takes_nobody_with_it(settings: Settings, ledger: Ledger) -> None:
    """Its neighbour's step is not disturbed."""
    ledger.submit(plan("e", [step("a", does="work 3"), step("b", does="work 3")]), deadline=None)
    with supervisor(settings, ledger, (HEAVY, HEAVY)) as crew:
        crew.wake()
        until(lambda: running(ledger, "a") and running(ledger, "b"), meanwhile=crew.poll)
        os.kill(slot_pids(crew)["heavy-1"], signal.SIGKILL)
        until(lambda: view(ledger).ready, meanwhile=crew.poll)
    assert sorted(one.attempts for one in view(ledger).steps[:2]) == [1, 2]


def test_a_step_that_kills_its_workers_is_quarantined(settings: Settings, ledger: Ledger) -> None:
    """Five times; then the farm goes on without it."""
    ledger.submit(plan("e", [step("poison", does="crash")]), deadline=None)
    with supervisor(settings, ledger, (HEAVY, HEAVY, HEAVY)) as crew:
        crew.wake()
        until(lambda: bool(view(ledger).stuck), meanwhile=crew.poll)
    assert (view(ledger).stuck[0].state, view(ledger).stuck[0].attempts) == ("quarantined", 5)


def test_stopping_hands_work_back_and_leaves_nothing(settings: Settings, ledger: Ledger) -> None:
    """No process, no scratch folder, no used-up attempt; the next run begins where this one stopped."""
    ledger.submit(plan("e", [step("long", does="work 60")]), deadline=None)
    with supervisor(settings, ledger) as crew:
        crew.wake()
        until(lambda: running(ledger, "long"), meanwhile=crew.poll)
        pids = list(slot_pids(crew).values())
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not any(alive(pid) for pid in pids)
    assert not (settings.home / "scratch").exists()
    assert (view(ledger).steps[0].state, view(ledger).steps[0].attempts) == ("ready", 0)
    assert ledger.look().slots == {}


@ONE_LEDGER
def test_a_broker_that_dies_costs_no_work(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """Steps under way are committed without it; when it is back, empty, the rest is done."""
    ledger.submit(plan("e", [step("a", does="work 1"), step("b"), step("c")]), deadline=None)
    with ExitStack() as stack:
        with broker(tmp_path / "own") as url:
            crew = stack.enter_context(supervisor(settings.model_copy(update={"broker_url": url}), ledger, (HEAVY,)))
            crew.wake()
            until(lambda: running(ledger, "a"), meanwhile=crew.poll)
        until(lambda: view(ledger).steps[0].state == "done", meanwhile=crew.poll)
        stack.enter_context(broker(tmp_path / "own"))
        back = time.monotonic()
        until(lambda: view(ledger).ready, meanwhile=crew.poll)
        assert time.monotonic() - back < 5  # which dramatiq alone would wait
        assert set(ran(settings).values()) == {1}


@ONE_LEDGER
def test_a_ledger_that_is_restarted_costs_no_work(settings: Settings) -> None:
    """What is under way meanwhile is committed when it is back, by whoever did it; nothing is done twice."""
    with postgres(settings=()) as server:
        elsewhere = settings.model_copy(update={"ledger_url": server.ledger()})
        ledger = open_ledger(elsewhere.ledger_address)
        ledger.submit(plan("e", [step("a", does="work 1"), step("b")]), deadline=None)
        with supervisor(elsewhere, ledger, (HEAVY,)) as crew:
            crew.wake()
            until(lambda: running(ledger, "a"), meanwhile=crew.poll)
            server.stop()
            until((settings.home / "ran").exists, meanwhile=crew.poll)
            server.start()
            until(lambda: view(ledger).ready, meanwhile=crew.poll)
        assert set(ran(settings).values()) == {1}
        assert [one.attempts for one in view(ledger).steps] == [1, 1, 1]
        ledger.close()


@ONE_LEDGER
def test_a_host_outlives_an_outage_of_its_ledger(settings: Settings) -> None:
    """A slot that dies meanwhile leaves no folder; its successor begins its step anew when the ledger is back."""
    with postgres(settings=()) as server:
        elsewhere = settings.model_copy(update={"ledger_url": server.ledger()})
        ledger = open_ledger(elsewhere.ledger_address)
        ledger.submit(plan("e", [step("a", does="work 2")]), deadline=None)
        with supervisor(elsewhere, ledger, (HEAVY,)) as crew:
            crew.wake()
            until(lambda: running(ledger, "a"), meanwhile=crew.poll)
            victim = slot_pids(crew)["heavy-1"]
            server.stop()
            os.kill(victim, signal.SIGKILL)
            until(lambda: not crew.at_work, meanwhile=crew.poll)
            assert list((settings.home / "scratch").iterdir()) == []
            away = time.monotonic() + 3
            until(lambda: time.monotonic() > away, meanwhile=crew.poll)
            assert not crew.at_work
            server.start()
            back = time.monotonic()
            until(lambda: view(ledger).ready, meanwhile=crew.poll)
            assert time.monotonic() - back < settings.lease_seconds
        assert [one.attempts for one in view(ledger).steps] == [2, 1]
        ledger.close()


def test_a_supervisor_ends_when_its_last_step_has_on_a_newer_ledger(settings: Settings, ledger: Ledger) -> None:
    """Its slots finish what they have, claim nothing more, and it says what to install."""
    ledger.submit(plan("e", [step("a", does="work 1"), step("b")]), deadline=None)
    with supervisor(settings, ledger, (HEAVY,)) as crew:
        crew.wake()
        until(lambda: running(ledger, "a"), meanwhile=crew.poll)
        with ledger._write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigurationError, match="schema 9999"):
            until(lambda: False, meanwhile=crew.poll)
        assert [one.state for one in view(ledger).steps] == ["done", "ready", "waiting"]


@ONE_LEDGER
def test_a_folder_has_one_supervisor(settings: Settings, ledger: Ledger) -> None:
    with (
        supervisor(settings, ledger, (LIGHT,)),
        pytest.raises(ConfigurationError, match="at work"),
        supervisor(settings, ledger, (LIGHT,)),
    ):
        pass


@ONE_LEDGER
def test_slots_that_can_not_live_are_said(settings: Settings, ledger: Ledger) -> None:
    """Instead of being started for ever."""
    with (
        Supervisor(settings, ledger, slots=(HEAVY,), module="workers.no_such_module") as crew,
        pytest.raises(HostError, match="dies as soon"),
    ):
        until(lambda: False, meanwhile=crew.poll)


@ONE_LEDGER
def test_a_slot_that_is_asked_again_and_again_ends(settings: Settings, ledger: Ledger) -> None:
    """However askings meet, none waits for another: every slot ends by itself, and none has to be killed."""
    with supervisor(settings, ledger, slots=(HEAVY,) * 3) as crew:
        logs = settings.home / "logs"
        begun = [1, 1, 1]
        until(
            lambda: [log.read_text().count("slot.started") for log in logs.glob("heavy-*")] == begun,
            meanwhile=crew.poll,
        )
        for _ in range(300):
            for slot in crew._crew.slots:
                slot.send(signal.SIGTERM)
    assert [log.read_text().count("slot.stopped") for log in logs.glob("heavy-*")] == [1, 1, 1]

"""Slots and the process that they are forked from: who may die, and who follows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.farm import broker, until
from tests.fakes.hosts import alive
from workers import crew
from workers.broker import Tickets, open_broker
from workers.crew import Crew, Slot
from workers.lanes import HEAVY, LIGHT, SlotClass
from workers.settings import Settings


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def settings(address: str, tmp_path: Path, unused_port: int) -> Settings:
    """Nothing answers where the ledger is said to be, or the store."""
    return Settings(
        home=tmp_path,
        host="h",
        ledger_url=f"postgresql://avant:hush@127.0.0.1:{unused_port}/avant",
        broker_url=address,
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="nobody",
        s3_secret_key=SecretStr("nothing"),
        naming_key=SecretStr("00"),
        log_format="json",
    )


class Attended(Crew):
    """A crew, and who of it has died so far."""

    def __init__(self, settings: Settings, *slots: SlotClass, module: str = "tests.fakes.slot") -> None:
        super().__init__(settings, slots, module)
        self.dead: list[Slot] = []

    def poll(self) -> None:
        self.dead += self.attend()
        self.fill()

    def born(self) -> list[int]:
        """Returns when all of them work; their processes."""
        until(lambda: all(slot.pid and alive(slot.pid) for slot in self.slots), meanwhile=self.poll)
        until(lambda: all('"slot.started"' in slot.log_file.read_text() for slot in self.slots), meanwhile=self.poll)
        return [slot.pid or 0 for slot in self.slots]

    @property
    def nursery(self) -> int:
        return self._nursery._child.pid


@pytest.fixture
def attended(settings: Settings) -> Iterator[Attended]:
    one = Attended(settings, HEAVY, LIGHT)
    yield one
    one.end()


def opened(pid: int) -> list[str]:
    """What a process has open besides its three streams, by kind."""
    files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if int(file.name) > 2]
    return sorted("socket" if file.startswith("socket:") else file for file in files)


def test_nothing_is_open_that_a_fork_could_share(settings: Settings) -> None:
    """With all that slots really import: one thread, the socket to the supervisor, and one descriptor for each slot."""
    real = Attended(settings, LIGHT, LIGHT, module="workers.dispatch")
    try:
        slots = real.born()
        assert len(list(Path(f"/proc/{real.nursery}/task").iterdir())) == 1
        assert opened(real.nursery) == ["anon_inode:[pidfd]", "anon_inode:[pidfd]", "socket"]
        assert not any("pidfd" in file for pid in slots for file in opened(pid))
    finally:
        real.end()
    assert not any(alive(pid) for pid in (*slots, real.nursery))


def test_what_slots_used_is_counted_as_their_supervisors(settings: Settings) -> None:
    """The nursery buries them before it ends by itself; killed, it would have taken their accounts with it."""
    one = Attended(settings, HEAVY, LIGHT)
    one.born()
    one.end()
    assert one._nursery.status == 0


def test_a_slot_is_a_process_of_its_own(attended: Attended) -> None:
    """In its own session, by its own name, as patient as its work, with its own log, reading nothing."""
    heavy, light = attended.born()
    assert (os.getsid(heavy), os.getsid(light)) == (heavy, light)
    assert [Path(f"/proc/{pid}/comm").read_text().strip() for pid in (heavy, light)] == ["heavy-1", "light-2"]
    assert os.getpriority(os.PRIO_PROCESS, heavy) == os.getpriority(os.PRIO_PROCESS, light) + 5
    assert Path(f"/proc/{heavy}/fd/0").readlink() == Path("/dev/null")
    assert Path(f"/proc/{heavy}/fd/2").readlink() == attended.slots[0].log_file


def test_a_slot_that_dies_is_replaced_alone(attended: Attended) -> None:
    """How it ended is known."""
    before = attended.born()
    os.kill(before[0], signal.SIGABRT)
    until(lambda: bool(attended.dead), meanwhile=attended.poll)
    assert [(slot.name, slot.status) for slot in attended.dead] == [("h/heavy-1", -signal.SIGABRT)]
    until(lambda: attended.slots[0].pid != before[0], meanwhile=attended.poll)
    assert attended.born()[1] == before[1]


def test_slots_follow_their_nursery(attended: Attended) -> None:
    """They are dead when that is told, and come back from another."""
    before = attended.born()
    os.kill(attended.nursery, signal.SIGKILL)
    until(lambda: len(attended.dead) == 2, meanwhile=lambda: attended.dead.extend(attended.attend()))
    assert not any(alive(pid) for pid in before)
    assert not attended.at_work
    assert set(attended.born()).isdisjoint(before)


def test_a_nursery_that_hangs_is_replaced(attended: Attended, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is needed: it does not say that a slot has died."""
    before, hanging = attended.born(), attended.nursery
    monkeypatch.setattr(crew, "PATIENCE", 0.5)
    os.kill(hanging, signal.SIGSTOP)
    os.kill(before[1], signal.SIGKILL)
    until(lambda: len(attended.dead) == 2, meanwhile=lambda: attended.dead.extend(attended.attend()))
    monkeypatch.undo()
    assert not any(alive(pid) for pid in (*before, hanging))
    assert set(attended.born()).isdisjoint(before)


def test_slots_follow_a_supervisor_that_is_gone(attended: Attended) -> None:
    """The nursery ends when nobody is there to be told, and they with it."""
    before = attended.born()
    attended._nursery._socket.close()
    until(lambda: not any(alive(pid) for pid in (*before, attended.nursery)))


def test_a_slot_lives_without_its_ledger(attended: Attended, settings: Settings) -> None:
    """It takes a ticket, finds nobody, says so, and takes the next."""
    before = attended.born()
    tickets = Tickets(open_broker(settings.broker_url or ""))
    log = attended.slots[0].log_file
    for number in range(1, 3):
        tickets.send(HEAVY)
        until(lambda number=number: log.read_text().count('"ledger.unreachable"') == number)  # type: ignore[misc]  # now
    attended.poll()
    assert (attended.born(), attended.dead) == (before, [])
    tickets._broker.client.close()

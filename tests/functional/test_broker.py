"""Tickets, on a real Valkey."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.farm import broker, claimed, made, plan, step
from workers.broker import Tickets, open_broker
from workers.lanes import HEAVY, LIGHT, mix
from workers.ledger import Ledger, open_ledger
from workers.reconcile import reconcile


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def tickets(address: str) -> Iterator[Tickets]:
    one = open_broker(address)
    one.client.flushall()
    yield Tickets(one)
    one.client.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    one = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    one.enrol("h", memory=1 << 30, slots=[slots.name for slots in mix(2)])
    yield one
    one.close()


def test_a_queue_holds_no_more_tickets_than_slots(tickets: Tickets) -> None:
    """However much is ready, and however often anyone looks."""
    assert tickets.top_up(HEAVY, ready=1000, existing=2) == 2
    assert tickets.top_up(HEAVY, ready=1000, existing=2) == 0
    assert (tickets.queued(HEAVY), tickets.queued(LIGHT)) == (2, 0)


def test_a_queue_holds_no_more_tickets_than_work(tickets: Tickets) -> None:
    assert tickets.top_up(HEAVY, ready=1, existing=8) == 1


def test_lost_tickets_are_made_up_for(tickets: Tickets, ledger: Ledger) -> None:
    """The broker forgot everything; the next look sends what is lacking, to the slots that can do it."""
    ledger.submit(plan("e", [step("a"), step("b"), step("c"), step("d", lane="warm")]), deadline=None)
    for _ in range(2):
        reconcile(ledger, tickets)
        assert (tickets.queued(HEAVY), tickets.queued(LIGHT)) == (2, 1)
        tickets._broker.client.flushall()


def test_finishing_work_wakes_every_class(tickets: Tickets, ledger: Ledger) -> None:
    """A light slot takes it even if all heavy ones encode; a heavy one if it idles."""
    a = step("a")
    ledger.submit(plan("e", [a, step("b", lane="package", needs=[a])]), deadline=None)
    held = claimed(ledger)
    ledger.commit(held.step.id, held.token, made(held.step))
    reconcile(ledger, tickets)
    assert (tickets.queued(HEAVY), tickets.queued(LIGHT)) == (1, 1)


def test_steps_of_silent_workers_come_back(tickets: Tickets, ledger: Ledger) -> None:
    """And wake somebody."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    claimed(ledger, lease=-1)
    reconcile(ledger, tickets)
    assert ledger.look().ready == {"encode": 1}
    assert tickets.queued(HEAVY) == 1


def test_a_broker_that_is_down_costs_no_work(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing is raised; the next look tries again."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    reconcile(ledger, Tickets(open_broker(f"unix://{tmp_path / 'nobody.sock'}")))
    assert ledger.look().ready == {"encode": 1}

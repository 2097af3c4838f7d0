"""Work stops before anyone else can have its step."""

from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from pipelines.errors import Interrupted
from workers.lease import Lease


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def lease(clock: Clock, *, held: bool = True, stopping: Event | None = None) -> Lease:
    """Taken at 100 for 30 seconds."""
    return Lease(lambda _: held, seconds=30, taken=100, stopping=stopping or Event(), clock=clock)


def test_work_goes_on_until_ten_seconds_before_the_lease_can_have_run_out() -> None:
    clock = Clock()
    one = lease(clock)
    clock.time = 120.0
    one.watch(0.1)
    clock.time = 120.1
    with pytest.raises(Interrupted, match="ran out"):
        one.watch(0.1)


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    """The ledger may have answered late, but can't have begun to count before it was asked."""
    clock = Clock()

    def renew(_progress: float) -> bool:
        clock.time += 5
        return True

    one = Lease(renew, seconds=30, taken=100, stopping=Event(), clock=clock)
    clock.time = 110.0
    one.renew()
    clock.time = 130.0
    one.watch(0.1)
    clock.time = 130.1
    with pytest.raises(Interrupted):
        one.watch(0.1)


def test_work_stops_at_once_when_the_step_was_taken() -> None:
    one = lease(Clock(), held=False)
    one.renew()
    with pytest.raises(Interrupted):
        one.watch(0.1)


def test_work_goes_on_while_the_ledger_is_out_of_reach_and_the_lease_lasts() -> None:
    def renew(_progress: float) -> bool:
        raise OperationalError("", {}, Exception())

    one = Lease(renew, seconds=30, taken=100, stopping=Event(), clock=Clock())
    one.renew()
    one.watch(0.1)


def test_work_stops_when_the_worker_does() -> None:
    stopping = Event()
    one = lease(Clock(), stopping=stopping)
    one.watch(0.1)
    stopping.set()
    with pytest.raises(Interrupted, match="stopping"):
        one.watch(0.1)


def test_progress_never_goes_back() -> None:
    told: list[float] = []

    def renew(progress: float) -> bool:
        told.append(progress)
        return True

    one = Lease(renew, seconds=30, taken=100, stopping=Event(), clock=Clock())
    for progress in (0.5, 0.2, 7.0):
        one.watch(progress)
        one.renew()
    assert told == [0.5, 0.5, 1.0]

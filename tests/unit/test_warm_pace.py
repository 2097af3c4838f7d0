"""How fast an edge is asked, on a clock of the test's own."""

from pathlib import Path

import pytest

from pipelines.warm import Capacity
from pipelines.warm.pace import LONGEST_PAUSE, Limit, Pace, Shared, Together
from pipelines.warm.sweep import retry_after
from tests.unit.test_warm_verdict import NOON


class Time:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def pace(own: Capacity, total: Capacity | None = None) -> tuple[Pace, Time]:
    time = Time()
    return Pace(own, Together(total), clock=time, wait=time.wait), time


def test_bytes_keep_to_their_limit() -> None:
    """10 MB at 8 Mb/s take ten seconds, within a twentieth of a second."""
    paced, time = pace(Capacity(bits_per_second=8_000_000))
    for _ in range(100):
        paced.came(100_000)
    assert time.now - 1000 == pytest.approx(10, abs=0.06)


def test_requests_keep_to_theirs() -> None:
    """However long a rest was before, no more than a twentieth of a second is made up for."""
    paced, time = pace(Capacity(requests_per_second=50))
    paced.before()
    time.now += 60
    begun = time.now
    for _ in range(500):
        paced.before()
    assert time.now - begun == pytest.approx(10, abs=0.08)


def test_the_total_holds_for_all_edges() -> None:
    """Two edges that may each do more share what all may do together."""
    time = Time()
    together = Together(Capacity(bits_per_second=8_000_000))
    two = [Pace(Capacity(bits_per_second=80_000_000), together, clock=time, wait=time.wait) for _ in range(2)]
    for _ in range(50):
        for each in two:
            each.came(100_000)
    assert time.now - 1000 == pytest.approx(10, abs=0.06)


def test_processes_share_a_limit(tmp_path: Path) -> None:
    """What one takes, the other waits for; and what was written before a restart of the host is forgotten."""
    one, two = (Limit(rate=10, cell=Shared(tmp_path / "requests")) for _ in range(2))
    assert [round(limit.take(1, 1000.0), 2) for limit in (one, two, one, two)] == [0.05, 0.15, 0.25, 0.35]
    assert round(two.take(1, 500_000.0), 2) == 0.05
    assert round(one.take(1, 7.0), 2) == 0.1
    for limit in (one, two):
        assert isinstance(limit.cell, Shared)
        limit.cell.close()


def test_a_refusal_halves_the_rate_and_answers_give_it_back() -> None:
    """Requests that were on their way already say nothing new; the rate comes back in about ninety answers."""
    paced, time = pace(Capacity(requests_per_second=100))
    asked = [paced.before() for _ in range(8)]
    time.now += 1
    for moment in asked:
        paced.refused(moment, 0)
    assert paced.share == 0.5
    begun = paced.before()
    for _ in range(50):
        paced.before()
    assert time.now - begun == pytest.approx(1.0, abs=0.06)
    paced.refused(time.now, 0)
    assert paced.share == 0.25
    for _ in range(180):
        paced.answered()
    assert paced.share == 1.0


def test_an_edge_without_limits_that_refuses_gets_one() -> None:
    """Half of what it bore."""
    paced, time = pace(Capacity())
    for _ in range(400):
        paced.before()
        paced.answered()
        time.now += 0.01
    paced.refused(time.now, 0)
    begun = paced.before()
    for _ in range(50):
        paced.before()
    assert time.now - begun == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(("said", "pause"), [(7.0, 7.0), (None, 1.0), (90_000.0, LONGEST_PAUSE)])
def test_a_pause_is_kept(said: float | None, pause: float) -> None:
    """As long as the edge asked for; a mistaken one does not cost the night."""
    paced, time = pace(Capacity())
    paced.refused(time.now, said)
    assert paced.before() - 1000 == pytest.approx(pause, abs=0.3)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("Sun, 29 Nov 2026 12:01:00 GMT", 60.0), ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0), ("soon", None)],
)
def test_retry_after_is_read_both_ways(said: str, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110, 10.2.3); nonsense says nothing."""
    assert retry_after({"retry-after": said}, NOON) == seconds
    assert retry_after({}, NOON) is None

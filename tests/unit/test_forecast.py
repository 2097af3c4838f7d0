"""When an episode will be ready: drawn from what steps really took, on the slots there are."""

import random
from collections.abc import Sequence

import pytest

from tests.fakes.farm import encode, step
from workers.forecast import Forecast, forecast
from workers.pace import Pace, Queued, Seat, Sort, sort_of

HEAVY = Seat(host="h", lanes=("encode", "audio"))
LIGHT = Seat(host="h", lanes=("package", "warm", "control"))


def paces(sort: Sort, *ratios: float, host: str = "h", each: int = 1) -> list[Pace]:
    return [Pace(sort=sort, host=host, ratio=ratio) for ratio in ratios] * each


AS_ESTIMATED = paces(("compose",), 1.0, each=5)


def asked(queue: Sequence[Queued], slots: int = 1, measured: Sequence[Pace] = AS_ESTIMATED) -> Forecast:
    found = forecast(queue, [HEAVY] * slots + [LIGHT], measured, random.Random(1))
    assert found
    return found


def queued(name: str, *, key: float = 0.0, ours: bool = True, progress: float = 0.0, elapsed: float = 0.0) -> Queued:
    return Queued(step=step(name), key=key, ours=ours, progress=progress, elapsed=elapsed)


def test_steps_that_take_what_they_always_took_leave_no_doubt() -> None:
    """Three steps of a second, on one slot and on two."""
    queue = [queued(name) for name in "abc"]
    assert asked(queue).p50 == asked(queue).p95 == pytest.approx(3)
    assert asked(queue, slots=2).p95 == pytest.approx(2)


def test_what_varied_will_vary() -> None:
    """One in five took five times as long: the likely end is earlier than the certain one."""
    found = asked([queued(str(n)) for n in range(10)], measured=paces(("compose",), 1, 1, 1, 1, 5))
    assert 12 < found.p50 < 25
    assert found.p50 + 5 < found.p95 <= 50


def test_what_is_more_urgent_goes_first() -> None:
    """Also when it is another episode's; what is less urgent only if it runs already."""
    queue = [queued("a", key=5), queued("urgent", key=1, ours=False), queued("bulk", key=9, ours=False)]
    assert asked(queue).p50 == pytest.approx(2)
    running = queued("bulk", key=9, ours=False, progress=0.5, elapsed=30)
    assert asked([queued("a", key=5), running]).p50 == pytest.approx(31)


def test_measurements_of_the_same_sort_count_most() -> None:
    """Then those of the same kind, then all there are."""
    chunk = Queued(step=encode("chunk", ["90p", "180p"]), key=0, ours=True)
    same = paces(sort_of(chunk.step), 2.0, host="gone", each=5)
    kind = paces(("encode", "slow", "1080p"), 7.0, each=5)
    rest = paces(("audio", "aac"), 9.0, each=50)
    assert asked([chunk], measured=[*same, *kind, *rest]).p50 == pytest.approx(2)
    assert asked([chunk], measured=[*kind, *rest]).p50 == pytest.approx(7)
    assert asked([chunk], measured=rest).p50 == pytest.approx(9)
    assert asked([chunk], measured=[]).p50 == pytest.approx(1)


def test_a_host_that_is_gone_says_nothing_about_those_that_are_there() -> None:
    """Unless nothing is known of these; of several hosts each is drawn as often as it has slots."""
    chunk = Queued(step=step("chunk"), key=0, ours=True)
    slow, fast = (paces(("compose",), ratio, host=host, each=20) for ratio, host in ((10.0, "gone"), (1.0, "h")))
    assert asked([chunk], measured=[*slow, *fast]).p95 == pytest.approx(1)
    seats = [HEAVY, HEAVY, HEAVY, Seat(host="gone", lanes=("encode",))]
    both = forecast([chunk], seats, [*slow, *fast], random.Random(1))
    assert both
    assert both.p50 == pytest.approx(1)
    assert both.p95 == pytest.approx(10)


def test_a_step_waits_for_what_it_needs() -> None:
    first = step("first")
    queue = [
        Queued(step=step("second", lane="package", needs=[first]), key=0, ours=True),
        Queued(step=first, key=1, ours=True),
    ]
    assert asked(queue).p50 == pytest.approx(2)


def test_what_nobody_serves_is_never_ready() -> None:
    assert forecast([queued("a")], [LIGHT], AS_ESTIMATED, random.Random(1)) is None
    assert forecast([], [], [], random.Random(1)) == Forecast(p50=0, p95=0)


def test_sorts_are_told_apart_by_what_makes_them_slow() -> None:
    """The encoder's setting and the rungs."""
    assert sort_of(encode("x", ["180p", "90p"])) == ("encode", "fast", "90p", "90p")
    assert sort_of(step("y")) == ("compose",)

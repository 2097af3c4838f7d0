"""The farm's order of claims, on a clock that costs no time."""

from hypothesis import given
from hypothesis import strategies as st

from workers.schedule import Span, Task, schedule

HEAVY, LIGHT = ("encode", "package"), ("package", "warm")


def task(name: str, *, lane: str = "encode", key: float = 0.0, seconds: float = 10.0, **more: object) -> Task:
    return Task(id=name, lane=lane, key=(key,), seconds=seconds, **more)  # type: ignore[arg-type]  # as given below


def test_the_most_urgent_ready_step_goes_first() -> None:
    spans = schedule([task("late", key=2), task("soon", key=1)], [HEAVY])
    assert spans == {"soon": Span(start=0, end=10, slot=0), "late": Span(start=10, end=20, slot=0)}


def test_what_needs_something_waits_for_it() -> None:
    spans = schedule([task("b", key=0, needs={"a"}), task("a", key=1)], [HEAVY, HEAVY])
    assert (spans["a"].start, spans["b"].start) == (0, 10)


def test_no_step_is_interrupted_by_a_more_urgent_one() -> None:
    """It waits for the first slot that is free, and then goes before all others."""
    tasks = [task("bulk-1", key=9), task("bulk-2", key=9), task("premiere", key=0, arrival=3)]
    spans = schedule(tasks, [HEAVY])
    assert [spans[name].start for name in ("bulk-1", "premiere", "bulk-2")] == [0, 10, 20]


def test_a_slot_takes_only_its_lanes() -> None:
    """Light slots leave encodes alone; what nobody serves never runs."""
    spans = schedule([task("a"), task("b"), task("p", lane="package", key=1), task("x", lane="none")], [HEAVY, LIGHT])
    assert [spans[name].slot for name in ("a", "b", "p")] == [0, 0, 1]
    assert "x" not in spans


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5), st.integers(0, 30)), max_size=30), st.integers(1, 4))
def test_no_slot_idles_while_a_step_is_ready(drawn: list[tuple[int, int, int]], slots: int) -> None:
    """And none does two at a time: whenever a step waits, all slots are busy."""
    tasks = [task(str(n), seconds=s, key=k, arrival=a) for n, (s, k, a) in enumerate(drawn)]
    spans = schedule(tasks, [HEAVY] * slots)
    assert len(spans) == len(tasks)
    for one in tasks:
        for instant in range(int(one.arrival), int(spans[one.id].start)):
            busy = [span.slot for span in spans.values() if span.start <= instant < span.end]
            assert sorted(busy) == list(range(slots))

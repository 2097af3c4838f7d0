"""The forecast: static costs, corrected by what was measured, laid out on the slots there are."""

from fractions import Fraction

import pytest

from pipelines.cadence import Cadence
from pipelines.step import Lane, Step
from pipelines.version import ComposeJob, Policy
from workers.eta import Load, left_of, seconds_left, share_done

CADENCE = Cadence(frame_rate=Fraction(25), gop=48, segment=144, chunk=288)
HEAVY, LIGHT = ("encode", "audio"), ("package", "warm", "control")


def step(name: str, *, lane: Lane = "encode", cost: float = 10.0, needs: tuple[str, ...] = ()) -> Step:
    policy = Policy(title="", default_language="en", cadence=CADENCE, frames=1)
    job = ComposeJob(digest=f"{name}!", tracks=(), policy=policy)
    return Step(
        id=name, lane=lane, label=name, job=job, needs=needs, makes=(f"{name}!",), urgency="must", cost=cost,
        tail=cost, memory=0,
    )  # fmt: skip


def test_equal_steps_fill_the_slots_in_waves() -> None:
    """Five steps of ten seconds on two slots take three waves."""
    loads = [Load(step=step(f"s{n}")) for n in range(5)]
    assert seconds_left(loads, [HEAVY, HEAVY]) == pytest.approx(30)


def test_a_step_waits_for_what_it_needs() -> None:
    """Packaging begins when its chunk is there, on a slot of its own."""
    loads = [Load(step=step("a")), Load(step=step("p", lane="package", cost=3, needs=("a!",)))]
    assert seconds_left(loads, [HEAVY, LIGHT]) == pytest.approx(13)


def test_measured_speed_corrects_the_costs() -> None:
    """A farm twice as slow as the table takes twice as long for the rest; a step of a second says little about it."""
    loads = [Load(step=step("a", cost=1000), progress=1.0, elapsed=2000), Load(step=step("b"))]
    assert seconds_left(loads, [HEAVY]) == pytest.approx(20, rel=0.01)
    loads = [Load(step=step("a", cost=0.1), progress=1.0, elapsed=0.5), Load(step=step("b"))]
    assert seconds_left(loads, [HEAVY]) == pytest.approx(13.7, rel=0.01)


def test_a_running_step_is_judged_by_its_own_speed() -> None:
    """Half done in a thousand seconds: a thousand more. The further it is, the less the table counts."""
    assert seconds_left([Load(step=step("a", cost=1000), progress=0.5, elapsed=1000)], [HEAVY]) == pytest.approx(
        1000, rel=0.01
    )
    assert left_of(0.05, 1, usual=10) == 9
    assert left_of(0.5, 30, usual=10) == 0.5 * 30 + 0.5 * 10 * 0.5
    assert left_of(1.0, 30, usual=10) == 0


def test_the_share_done_weighs_steps_by_their_cost() -> None:
    loads = [Load(step=step("a", cost=30), progress=1.0), Load(step=step("b", cost=10))]
    assert share_done(loads) == pytest.approx(0.75)


def test_nothing_left_takes_no_time() -> None:
    assert seconds_left([Load(step=step("a"), progress=1.0)], [HEAVY]) == 0

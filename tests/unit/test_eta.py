"""The forecast: static costs, corrected by what was measured, laid out on the slots there are."""

from fractions import Fraction

import pytest

from pipelines.cadence import Cadence
from pipelines.step import Lane, Step
from pipelines.version import ComposeJob, Policy
from workers.eta import Load, seconds_left, share_done

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
    """A farm twice as slow as the table takes twice as long for the rest."""
    loads = [Load(step=step("a"), progress=1.0, elapsed=20), Load(step=step("b"))]
    assert seconds_left(loads, [HEAVY]) == pytest.approx(20)


def test_a_running_step_is_judged_by_its_own_speed() -> None:
    """Half done in thirty seconds: thirty more."""
    assert seconds_left([Load(step=step("a"), progress=0.5, elapsed=30)], [HEAVY]) == pytest.approx(30)


def test_the_share_done_weighs_steps_by_their_cost() -> None:
    loads = [Load(step=step("a", cost=30), progress=1.0), Load(step=step("b", cost=10))]
    assert share_done(loads) == pytest.approx(0.75)


def test_nothing_left_takes_no_time() -> None:
    assert seconds_left([Load(step=step("a"), progress=1.0)], [HEAVY]) == 0

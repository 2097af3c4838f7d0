"""Urgency is one number."""

from tests.fakes.farm import step
from workers.ledger.urgency import BULK, HOUR, latest_start

T = 1_800_000_000.0


def key(urgency: str = "must", *, tail: float = 0.0, deadline: float | None = T, submitted_at: float = 0.0) -> float:
    return latest_start(
        step("s", urgency=urgency, tail=tail),  # type: ignore[arg-type]  # each of them is passed below
        deadline=deadline,
        submitted_at=submitted_at,
    )


def test_a_step_starts_as_long_before_the_deadline_as_the_rest_takes() -> None:
    """Of one episode, the longest way goes first."""
    assert key(tail=600) == T - 600


def test_classes_count_from_their_own_deadlines() -> None:
    """MUST by T, SHOULD two hours later, LATER a day later."""
    assert [key("must"), key("should"), key("later")] == [T, T + 2 * HOUR, T + 24 * HOUR]


def test_bulk_comes_after_everything_with_a_deadline() -> None:
    """Nothing without a deadline overtakes a premiere, not even one in a thousand years."""
    assert key(deadline=None, tail=1e6) > key("later", deadline=T + 1000 * 365 * 24 * HOUR)
    assert key(deadline=None) >= BULK


def test_bulk_goes_oldest_first() -> None:
    assert key(deadline=None, submitted_at=T) < key(deadline=None, submitted_at=T + 1)

"""A wall time in a zone means one instant, or is refused."""

from datetime import UTC, datetime

import pytest

from pipelines.delivery import ReleaseTime
from pipelines.errors import DeliveryError
from pipelines.instant import resolve


@pytest.mark.parametrize(
    ("at", "zone", "utc"),
    [
        ("2026-11-29T03:00", "Europe/Paris", "2026-11-29T02:00"),
        ("2027-03-28T03:00", "Europe/Paris", "2027-03-28T01:00"),
        ("2026-10-25T03:00", "Europe/Paris", "2026-10-25T02:00"),
        ("2027-03-15T21:00", "America/New_York", "2027-03-16T01:00"),
        ("2026-10-26T21:00", "America/New_York", "2026-10-27T01:00"),
    ],
)
def test_the_same_wall_time_is_another_instant_in_another_season(at: str, zone: str, utc: str) -> None:
    """03:00 in Paris always exists once; what it is in UTC depends on the night."""
    assert resolve(ReleaseTime(at=at, zone=zone)).utc == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone"), [("2027-03-28T02:30", "Europe/Paris"), ("2027-03-28T03:00", "Europe/Helsinki")]
)
def test_an_hour_that_clocks_jump_over_is_refused(at: str, zone: str) -> None:
    """A release can't be promised for a time that no clock will show."""
    with pytest.raises(DeliveryError, match="does not exist"):
        resolve(ReleaseTime(at=at, zone=zone))


def test_an_hour_that_comes_twice_must_say_which() -> None:
    """Helsinki shows 03:00 twice on the night that clocks go back."""
    with pytest.raises(DeliveryError, match="comes twice"):
        resolve(ReleaseTime(at="2026-10-25T03:00", zone="Europe/Helsinki"))
    first = resolve(ReleaseTime(at="2026-10-25T03:00", zone="Europe/Helsinki", fold=0))
    second = resolve(ReleaseTime(at="2026-10-25T03:00", zone="Europe/Helsinki", fold=1))
    assert (second.utc - first.utc).total_seconds() == 3600


def test_a_mistyped_zone_names_the_nearest() -> None:
    with pytest.raises(DeliveryError) as refusal:
        resolve(ReleaseTime(at="2026-11-29T03:00", zone="Europe/Pariss"))
    assert refusal.value.hint == "Did you mean `Europe/Paris`?"

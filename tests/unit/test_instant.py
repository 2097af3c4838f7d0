"""A wall time in a zone means one instant, or is refused."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.delivery import ReleaseTime
from pipelines.errors import DeliveryError
from pipelines.instant import resolve, tzdata_of, unusual


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


def days(first: date, last: date) -> list[date]:
    """Every one of them, the last too."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def paris(day: date) -> datetime:
    """The instant of a premiere there."""
    return resolve(ReleaseTime(at=f"{day}T03:00", zone="Europe/Paris")).utc


def test_three_in_paris_exists_once_each_day() -> None:
    """Of two years, each night: nobody has to say which, and it is a day from one to the next, give or take an hour."""
    nights = [paris(day) for day in days(date(2026, 1, 1), date(2027, 12, 31))]
    between = {later - earlier for earlier, later in pairwise(nights)}
    assert between == {timedelta(hours=hours) for hours in (23, 24, 25)}


@pytest.mark.parametrize("minute", [0, 1, 30, 59])
def test_the_hour_before_is_missing_in_spring_and_double_in_autumn(minute: int) -> None:
    """02:00–02:59 in Paris, on 2027-03-28 and on 2026-10-25."""
    with pytest.raises(DeliveryError, match="does not exist"):
        resolve(ReleaseTime(at=f"2027-03-28T02:{minute:02}", zone="Europe/Paris"))
    with pytest.raises(DeliveryError, match="comes twice"):
        resolve(ReleaseTime(at=f"2026-10-25T02:{minute:02}", zone="Europe/Paris"))
    both = [resolve(ReleaseTime(at=f"2026-10-25T02:{minute:02}", zone="Europe/Paris", fold=fold)) for fold in (0, 1)]
    assert [each.utc.hour for each in both] == [0, 1]


def test_new_york_is_an_hour_nearer_while_only_one_of_both_has_changed_its_clocks() -> None:
    """21:00 there is 03:00 in Paris, but 02:00 from 2027-03-14 to 03-27 and in the week of 2026-10-25."""

    def nearer(day: date) -> bool:
        evening = resolve(ReleaseTime(at=f"{day}T21:00", zone="America/New_York")).utc
        return paris(day + timedelta(days=1)) - evening == timedelta(hours=1)

    found = [day for day in days(date(2026, 7, 1), date(2027, 6, 30)) if nearer(day)]
    # The evening of the 24th is before Paris's 03:00 of the 25th, when it has changed.
    assert found == days(date(2026, 10, 24), date(2026, 10, 31)) + days(date(2027, 3, 14), date(2027, 3, 26))


@pytest.mark.parametrize(("day", "says"), [("2027-03-28", "does not exist"), ("2026-10-25", "comes twice")])
def test_in_helsinki_it_is_three_that_is_missing_or_double(day: str, says: str) -> None:
    with pytest.raises(DeliveryError, match=says):
        resolve(ReleaseTime(at=f"{day}T03:00", zone="Europe/Helsinki"))


def test_the_rules_that_it_was_resolved_by_are_told(tmp_path: Path) -> None:
    """The system's, wherever it has that zone; else those that come with the package."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Paris").write_bytes(b"TZif")
    assert tzdata_of("Europe/Paris", (str(tmp_path),)) == "the system's"
    (tmp_path / "tzdata.zi").write_text("# version 2025b\n# more\n")
    assert tzdata_of("Europe/Paris", (str(tmp_path),)) == "2025b"
    assert tzdata_of("Europe/Oslo", (str(tmp_path),)).startswith("20")
    assert resolve(ReleaseTime(at="2026-11-29T03:00", zone="Europe/Paris")).tzdata


@pytest.mark.parametrize(
    ("at", "zone", "said"),
    [
        ("2026-11-29T03:00", "Europe/Paris", ()),
        ("2026-11-29T17:00", "Europe/Paris", ()),
        ("2026-11-29T15:00", "Europe/Paris", ("2026-11-29 15:00 Europe/Paris is in the afternoon",)),
        ("2026-11-29T04:00", "Europe/Paris", ("2026-11-29 04:00 Europe/Paris is in the morning",)),
        (
            "2026-10-20T03:00",
            "Europe/Paris",
            ("2026-10-20 03:00 Europe/Paris has passed: it would be released as soon as it is whole",),
        ),
        ("2027-11-29T03:00", "Europe/Paris", ("2027-11-29 03:00 Europe/Paris is 402 days ahead",)),
        (
            "2026-10-25T01:00",
            "Europe/Oslo",
            ("clocks change in Europe/Oslo that night: 2026-10-25 01:00 Europe/Oslo is 2026-10-24 23:00 UTC",),
        ),
    ],
)
def test_an_unusual_time_is_pointed_out(at: str, zone: str, said: tuple[str, ...]) -> None:
    """3 o'clock in the afternoon, the past, another year, a night that clocks change; and nothing else."""
    now = datetime(2026, 10, 22, 12, tzinfo=UTC)
    assert unusual(resolve(ReleaseTime(at=at, zone=zone)), now) == said

"""
A wall time in a zone, resolved once to the instant that it means.

Twice a year a night has an hour too few or one twice. A time that does not exist is refused; one that comes twice must
say which. Rules of zones change a few times a year, by law: which rules it was resolved by is kept with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipelines.delivery import ReleaseTime
from pipelines.errors import DeliveryError
from presets.document import nearest

#: Hours of the local day in which hardly anything is released: 15:00 is 03:00 mistaken, and nobody is there at 05:00.
FIRST_ODD_HOUR, LAST_ODD_HOUR = 4, 16
NOON = 12
#: A release further ahead is rather a year or a month mistaken.
FAR = timedelta(days=60)
#: To each side of a release, within which a change of clocks is worth a word.
HALF_A_DAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One moment, as the delivery wrote it and as every clock understands it."""

    utc: datetime
    #: `2026-11-29 03:00 Europe/Paris`
    wall: str
    #: Release of the time zone database that it was resolved by: `2025b`.
    tzdata: str = ""


def resolve(release: ReleaseTime) -> Instant:
    """The instant that `release` means. Raises `DeliveryError` if it means none, or two."""
    zone = _zone(release.zone)
    try:
        wall = datetime.fromisoformat(release.at)
    except ValueError as error:
        raise DeliveryError(f"`{release.at}` is not a time.", hint="Write it as 2026-11-29T03:00.") from error
    meant = {utc for fold in (0, 1) if (utc := _utc(wall, zone, fold)) is not None}
    if not meant:
        raise DeliveryError(
            f"{wall:%H:%M} on {wall:%Y-%m-%d} does not exist in {release.zone}: clocks go forward over it.",
            hint="Choose a time before or after the missing hour.",
        )
    if len(meant) > 1 and release.fold is None:
        raise DeliveryError(
            f"{wall:%H:%M} on {wall:%Y-%m-%d} comes twice in {release.zone}: clocks go back.",
            hint="Say which: `fold = 0`, in the command line `--fold 0`, is the first; 1 the second.",
        )
    return Instant(
        utc=max(meant) if release.fold else min(meant),
        wall=f"{wall:%Y-%m-%d %H:%M} {release.zone}",
        tzdata=tzdata_of(release.zone),
    )


def unusual(release: Instant, now: datetime) -> tuple[str, ...]:
    """What somebody should look at twice before a release at that time is armed; nothing, for most."""
    return tuple(_unusual(release, now))


def _unusual(release: Instant, now: datetime) -> Iterator[str]:
    wall, _, zone = release.wall.rpartition(" ")
    hour = datetime.fromisoformat(wall).hour
    if FIRST_ODD_HOUR <= hour <= LAST_ODD_HOUR:
        yield f"{release.wall} is in the {'morning' if hour < NOON else 'afternoon'}"
    if release.utc <= now:
        yield f"{release.wall} has passed: it would be released as soon as it is whole"
    if release.utc > now + FAR:
        yield f"{release.wall} is {(release.utc - now).days} days ahead"
    local = [(release.utc + by).astimezone(ZoneInfo(zone)).utcoffset() for by in (-HALF_A_DAY, HALF_A_DAY)]
    if local[0] != local[1]:
        yield f"clocks change in {zone} that night: {release.wall} is {release.utc:%Y-%m-%d %H:%M} UTC"


def tzdata_of(zone: str, path: tuple[str, ...] = TZPATH) -> str:
    """Release of the database that rules of `zone` are read from here: the system's, else the one that we bring."""
    for folder in map(Path, path):
        if (folder / zone).is_file():
            listing = folder / "tzdata.zi"
            first = listing.read_text(encoding="utf-8").partition("\n")[0] if listing.is_file() else ""
            return first.removeprefix("# version ").strip() or "the system's"
    return version("tzdata")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        meant = nearest(name, sorted(available_timezones()))
        hint = f"Did you mean `{meant}`?" if meant else "Write an IANA zone, such as `Europe/Paris`."
        raise DeliveryError(f"`{name}` is not a time zone.", hint=hint) from error


def _utc(wall: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """The instant at which clocks of `zone` show `wall`, if they do."""
    utc = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return utc if utc.astimezone(zone).replace(tzinfo=None) == wall else None

"""
A wall time in a zone, resolved once to the instant that it means.

Twice a year a night has an hour too few or one twice. A time that does not exist is refused; one that comes twice must
say which.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipelines.delivery import ReleaseTime
from pipelines.errors import DeliveryError
from presets.document import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One moment, as the delivery wrote it and as every clock understands it."""

    utc: datetime
    #: `2026-11-29 03:00 Europe/Paris`
    wall: str


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
            hint="Set `fold = 0` for the first, `fold = 1` for the second.",
        )
    return Instant(utc=max(meant) if release.fold else min(meant), wall=f"{wall:%Y-%m-%d %H:%M} {release.zone}")


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

"""`avant release show EPISODE`: will it be in time? In one screen, as it is or as it would be."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError

from pipelines.arrival import AUDIO, TEXT, Arrival
from pipelines.delivery import ReleaseTime, TextSource
from pipelines.errors import DeliveryError
from pipelines.instant import resolve
from scripts.avant import console
from scripts.avant.console import AsJson
from scripts.avant.release.screen import Screen, print_screen, told
from scripts.avant.retry import Episode
from workers.degrade import remedies
from workers.farm import consulted
from workers.ledger.fallbacks import declared
from workers.outlook import known
from workers.readiness import Known, readiness
from workers.settings import Settings
from workers.suppose import arrived, given_up, lost

UNCLEAR = "write --arrives as subtitles.fr=01:30: {what}, a language, and a time in the release's zone"


def show(
    episode: Episode,
    *,
    lose_slots: Annotated[int, typer.Option(min=0, metavar="N", help="Suppose so many slots were lost.")] = 0,
    arrives: Annotated[
        list[str] | None, typer.Option(metavar="subtitles.fr=01:30", help="Suppose this text or sound came then.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Suppose this declared fallback were taken.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Will it be in time? Says when each part will be ready, what is in the way, and what giving something up gains."""
    with consulted(Settings()) as ledger:
        facts = known(ledger, episode)
        acts = ledger.acts(episode)
    zone = zone_of(facts)
    supposed, supposing = facts, []
    for asked in arrives or []:
        arrival, at = _arrival(asked, facts, zone)
        supposed = arrived(supposed, arrival, at)
        supposing.append(f"`{arrival.name}` comes at {at.astimezone(zone):%Y-%m-%d %H:%M}")
    for name in drop or []:
        supposed = given_up(supposed, declared(supposed.overview.plan, name))
        supposing.append(f"`{name}` is given up")
    if lose_slots:
        supposed = lost(supposed, lose_slots)
        supposing.append(f"{min(lose_slots, len(facts.seats))} of {len(facts.seats)} slots are lost")
    found = readiness(supposed, episode)
    safe = found.least.released or found.least.outlook.safe
    screen = Screen(
        known=supposed,
        found=found,
        remedies=() if safe else remedies(supposed, found.least.outlook, episode),
        supposing=tuple(supposing),
        acts=acts,
        zone=zone,
    )
    if as_json:
        console.print_json(told(screen))
    else:
        print_screen(screen)


def zone_of(facts: Known) -> ZoneInfo:
    """The zone in which the release was promised."""
    return ZoneInfo(facts.release.wall.rpartition(" ")[2]) if facts.release and facts.at else ZoneInfo("UTC")


def _arrival(asked: str, facts: Known, zone: ZoneInfo) -> tuple[Arrival, datetime]:
    """What comes, and when. Raises `BadParameter` unless that is clear."""
    track, _, when = asked.partition("=")
    kind, _, language = track.partition(".")
    what = next((each for each in (*AUDIO, *TEXT) if each == kind), None)
    if what is None or not language or not when:
        raise typer.BadParameter(UNCLEAR.format(what=", ".join((*TEXT, *AUDIO))))
    try:
        tag = TextSource(language=language, file=track).language  # as a delivery's would be read
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    return Arrival(what=what, language=tag), _instant(when, facts, zone)


def _instant(when: str, facts: Known, zone: ZoneInfo) -> datetime:
    """`2026-11-29T01:30`; or `01:30`: of those to come, the one that is nearest to T."""
    now = facts.overview.now
    near = facts.at or now
    day = near.astimezone(zone).date()
    walls = [when] if len(when) > len("01:30") else [f"{each}T{when}" for each in _around(day)]
    found = [_resolved(wall, zone) for wall in walls]
    later = [instant for instant in found if instant >= now] or found[-1:]
    return min(later, key=lambda instant: abs(instant - near))


def _around(day: date) -> list[str]:
    return [str(day + timedelta(days=days)) for days in (-1, 0, 1)]


def _resolved(wall: str, zone: ZoneInfo) -> datetime:
    try:
        return resolve(ReleaseTime(at=wall.replace(" ", "T"), zone=zone.key)).utc.astimezone(UTC)
    except DeliveryError as error:
        raise typer.BadParameter(error.message) from error
    except ValueError as error:
        raise typer.BadParameter(UNCLEAR.format(what="what comes")) from error

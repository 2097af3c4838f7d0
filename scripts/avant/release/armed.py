"""`avant release arm`, `hold`, `go`: what is to be released, and when. What viewers have stays as it is until then."""

from datetime import datetime
from typing import Annotated, Any

import typer

from pipelines.delivery import ReleaseTime
from pipelines.instant import Instant, resolve
from pipelines.offer import NOTHING, Offer
from scripts.avant import console
from scripts.avant.console import clock_time, say
from scripts.avant.release.asking import Asked, asks
from scripts.avant.release.showing import offer_told, print_offers
from scripts.avant.retry import Episode
from scripts.avant.run import point_out
from workers import arming, night
from workers.arming import Gone
from workers.farm import Farm, consulted
from workers.ledger import Release


@asks
def arm(
    episode: Episode,
    *,
    at: Annotated[
        str, typer.Option(metavar='"2026-11-29 03:00"', help="Wall time. Default: as it was submitted.")
    ] = "",
    zone: Annotated[str, typer.Option(metavar="Europe/Paris", help="The zone of that wall time.")] = "",
    fold: Annotated[int | None, typer.Option(min=0, max=1, help="Which, of a time that comes twice.")] = None,
    asked: Asked,
) -> None:
    """Have what was submitted last released at its time, or at another, by whichever clock runs."""
    instant = _instant(at, zone, fold)
    point_out(instant)
    with night.open_night(asked.settings) as farm:
        release = arming.arming(farm.ledger, episode, instant)
        offers = _offers(farm, release)
        if not asked.as_json:
            _show(release, offers, asked)
        if not asked.dry_run:
            asked.confirm(f"Arm {episode} for {release.wall}?")
            farm.ledger.arm(release, by=asked.by)
    if asked.as_json:
        _tell(release, offers, asked)
    elif not asked.dry_run:
        say(f"{episode} is armed for {release.wall} ({clock_time(release.at)}).")


@asks
def hold(
    episode: Episode,
    *,
    asked: Asked,
) -> None:
    """Release nothing more of an episode until somebody lets it go. What viewers have stays."""
    with consulted(asked.settings) as ledger:
        release = arming.armed(ledger, episode)
        if not asked.as_json:
            say(f"{episode}, armed for {release.wall} ({clock_time(release.at)}): viewers see nothing change then.")
        if not asked.dry_run:
            asked.confirm(f"Hold {episode}?")
            release = ledger.hold(episode, held=True, by=asked.by)
    if asked.as_json:
        console.print_json(
            {"episode": episode, "action": "hold", "dry_run": asked.dry_run, "release": _release(release)}
        )
    elif not asked.dry_run:
        say(f"{episode} is held: `avant release go {episode}` lets it go.")


@asks
def go(
    episode: Episode,
    *,
    asked: Asked,
) -> None:
    """Lift a hold. It is released at its time, and not before everything that it waits for is there."""
    with night.open_night(asked.settings) as farm:
        release = arming.armed(farm.ledger, episode)
        offers = _offers(farm, release)
        gone = Gone(generation=None, hindrance=arming.hindrance(farm.ledger, episode))
        if not asked.as_json:
            _show(release, offers, asked)
            say("It is held." if release.held else "It is not held.")
        if not asked.dry_run:
            asked.confirm(f"Let {episode} go?")
            gone = arming.let_go(farm, release, asked.by)
    if asked.as_json:
        _tell(release, offers, asked, generation=gone.generation, hindrance=gone.hindrance)
    elif gone.generation is not None:
        say(f"{episode}: generation {gone.generation}, written.")
    else:
        say(f"Still in the way: {gone.hindrance}" if gone.hindrance else "Nothing else stands in the way.")


def _instant(at: str, zone: str, fold: int | None) -> Instant | None:
    """The instant that is meant. Raises `DeliveryError` as a delivery's own would."""
    if bool(at) != bool(zone):
        raise typer.BadParameter("give --at and --zone together")
    if not at:
        return None
    try:
        wall = datetime.fromisoformat(at)
    except ValueError as error:
        raise typer.BadParameter("write --at as 2026-11-29 03:00") from error
    return resolve(ReleaseTime.model_validate({"at": f"{wall:%Y-%m-%dT%H:%M:%S}", "zone": zone, "fold": fold}))


def _offers(farm: Farm, release: Release) -> tuple[Offer, Offer]:
    """What viewers are offered now, and of the fullest edition, less what is withdrawn or capped, if that is made."""
    ref = farm.ledger.ref(release.episode)
    return night.offer(farm, ref), night.offer(farm, night.moved_to(ref, release.version))


def _show(release: Release, offers: tuple[Offer, Offer], asked: Asked) -> None:
    had, gets = offers
    when = f"{release.wall} ({clock_time(release.at)})"
    if gets == NOTHING:
        say(f"{release.episode}, for {when}: the fullest version is not made yet; new sessions have {_short(had)}.")
    else:
        print_offers(f"{release.episode}: {asked.action}, for {when}, at its fullest", had, gets)


def _short(offer: Offer) -> str:
    return "nothing yet" if offer == NOTHING else f"{len(offer.rungs)} rungs in {', '.join(offer.audio)}"


def _tell(release: Release, offers: tuple[Offer, Offer], asked: Asked, **more: Any) -> None:
    had, gets = (offer_told(offer) for offer in offers)
    told = {"episode": release.episode, "action": asked.action, "dry_run": asked.dry_run, "release": _release(release)}
    console.print_json({**told, "before": had, "after": gets, **more})


def _release(release: Release) -> dict[str, Any]:
    return {"at": release.at.isoformat(), "wall": release.wall, "held": release.held, "editions": len(release.editions)}

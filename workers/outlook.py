"""All that is known of a release, read from the ledger: what readiness is answered from."""

from dataclasses import dataclass

from workers import host
from workers.checkpoint import LAST
from workers.lanes import mix, one_by_one
from workers.ledger import Ledger
from workers.pace import Pace, Seat
from workers.readiness import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What the farm can do now."""

    #: Without the lanes that are paused.
    seats: tuple[Seat, ...]
    #: What the last steps took.
    paces: tuple[Pace, ...]


def floor(ledger: Ledger) -> Floor:
    """What the farm can do now."""
    return Floor(seats=served(ledger), paces=ledger.paces())


def known(ledger: Ledger, episode: str, on: Floor | None = None) -> Known:
    """All that is known of an episode's release. Raises `ConfigurationError` if there is no such episode."""
    overview = ledger.overview(episode)
    if overview is None:
        raise ledger.unknown(episode)
    on = on or floor(ledger)
    release = next((release for release in ledger.armed() if release.episode == episode), None)
    # Until the last checkpoint, what was found long ago is no danger: everything is looked at again.
    last_look = release is None or release.at - overview.now <= LAST
    return Known(
        overview=overview,
        release=release,
        ref=ledger.ref(episode),
        lacks=ledger.lacks(overview.plan.editions, stale=last_look),
        queue=ledger.queue(episode),
        seats=on.seats,
        paces=on.paces,
    )


def seats(ledger: Ledger) -> tuple[Seat, ...]:
    """The farm's slots; while it has none, those that this machine would have."""
    there = {view.host: one_by_one(view.slots) for view in ledger.hosts() if not view.drained}
    if not any(there.values()):
        there = {host.name(): mix(host.processors())}
    return tuple(Seat(host=name, lanes=slot.lanes) for name, slots in there.items() for slot in slots)


def served(ledger: Ledger) -> tuple[Seat, ...]:
    """The same, without the lanes that are paused."""
    paused = {view.lane for view in ledger.lanes() if view.paused}
    return tuple(
        Seat(host=seat.host, lanes=tuple(lane for lane in seat.lanes if lane not in paused)) for seat in seats(ledger)
    )

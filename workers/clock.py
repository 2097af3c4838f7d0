"""
The release: not before its time, not without everything it was promised on, and by the ledger's clock.

Any number of clocks may tick at once: the ledger lets one of them flip, and any of them writes what viewers read.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from pipelines.errors import ReleaseError
from pipelines.release import Ref, entry_points, mirror
from pipelines.version import load_tracks, policy_of
from workers.farm import Farm
from workers.ledger import Release

#: Nothing flips while the clocks of host, ledger and store are further apart than this.
TOLERANCE = timedelta(seconds=2)
#: The store's `Date` is cut to whole seconds.
RESOLUTION = timedelta(seconds=1)

log = structlog.get_logger()


def publish(farm: Farm, ref: Ref) -> None:
    """Bring an episode's entry points up to its ref. Harmless at any time, by anyone."""
    if ref.version is None:
        mirror(farm.store, ref, entry_points(ref, (), None, farm.names))
        return
    version = farm.ledger.artifacts([ref.version])[ref.version]
    made = farm.ledger.artifacts(version.facts["tracks"])
    tracks = load_tracks(made[digest] for digest in version.facts["tracks"])
    mirror(farm.store, ref, entry_points(ref, tracks, policy_of(version), farm.names))


def flip(farm: Farm, release: Release) -> Ref:
    """
    Release what is armed, now, and write the entry points. Whoever flipped it, the ref that viewers get.

    Raises `ReleaseError` when it is too early, something is missing, or clocks disagree.
    """
    furthest_apart(farm)
    before = farm.ledger.ref(release.episode)
    ref = before
    if before.version != release.version:
        ref = farm.ledger.flip(release.episode, version=release.version, generation=before.generation) or (
            farm.ledger.ref(release.episode)
        )
        log.info("release.flipped", episode=ref.episode, generation=ref.generation)
    publish(farm, ref)
    return ref


def wait_until(farm: Farm, at: datetime, tick: Callable[[timedelta], None]) -> None:
    """Return at `at` by the ledger's clock; `tick` hears twice a second how long it still is."""
    while (left := at - farm.ledger.now()) > timedelta():
        tick(left)
        time.sleep(min(0.5, max(0.001, left.total_seconds())))


def furthest_apart(farm: Farm) -> timedelta:
    """
    By how much the clocks of this host, the ledger and the store differ. The store tells whole seconds.

    Raises `ReleaseError` when that is more than a release tolerates.
    """
    clocks = {"this host": datetime.now(UTC), "the ledger": farm.ledger.now(), "the store": farm.store.now()}
    first, last = min(clocks, key=lambda name: clocks[name]), max(clocks, key=lambda name: clocks[name])
    apart = clocks[last] - clocks[first]
    if apart > TOLERANCE + RESOLUTION:
        raise ReleaseError(
            f"The clock of {last} is {apart.total_seconds():.0f} s ahead of that of {first}.",
            hint="Have both follow NTP; nothing is released while they disagree.",
        )
    return apart

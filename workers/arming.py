"""
What is to be released and when, changed by an operator: armed, held, let go.

Letting go lifts a hold and nothing else: it is the gate that says yes, in the transaction that flips.
"""

from dataclasses import dataclass
from datetime import datetime

from pipelines.errors import ReleaseError
from pipelines.instant import Instant
from workers.clock import flip, publish
from workers.farm import Farm
from workers.ledger import By, Ledger, Release
from workers.night import check_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What became of a release that was let go."""

    #: What viewers get, if it was flipped.
    generation: int | None
    #: What still stands in the way; empty: nothing.
    hindrance: str = ""


def armed(ledger: Ledger, episode: str) -> Release:
    """What is armed of an episode. Raises `ReleaseError` if nothing is, `ConfigurationError` if nobody knows it."""
    for release in ledger.armed():
        if release.episode == episode:
            return release
    ledger.check_known(episode)
    raise ReleaseError(f"Nothing of `{episode}` is armed.", hint=f"`avant release arm {episode}`, or submit it again.")


def arming(ledger: Ledger, episode: str, at: Instant | None) -> Release:
    """
    The release of what was submitted last, at `at`; else at the time that it is armed for, or was submitted with.

    Raises `ReleaseError` for an episode that was called off, or whose viewers have it already.
    """
    overview = ledger.overview(episode)
    if overview is None:
        raise ledger.unknown(episode)
    if overview.cancelled_at:
        raise ReleaseError(
            f"`{episode}` was called off: nothing is made of it.", hint="Submit it again, which arms it."
        )
    if ledger.ref(episode).version == overview.plan.version:
        raise ReleaseError(f"Viewers have all of `{episode}` already.", hint=f"`avant versions {episode}` lists more.")
    before = next((release for release in ledger.armed() if release.episode == episode), None)
    editions = overview.plan.editions
    if at or before:
        instant, wall = (at.utc, at.wall) if at else (before.at, before.wall) if before else (ledger.now(), "now")
    elif overview.deadline:
        instant, wall = overview.deadline, _utc(overview.deadline)
    else:
        instant, wall, editions = ledger.now(), "now", editions[-1:]
    held = before.held if before else False
    return Release(episode=episode, at=instant, wall=wall, editions=editions, held=held)


def hindrance(ledger: Ledger, episode: str) -> str:
    """What stands in the way of a release besides a hold; empty: nothing."""
    try:
        ledger.due(episode, let_go=True)
    except ReleaseError as error:
        return error.message
    return ""


def let_go(farm: Farm, release: Release, by: By) -> Gone:
    """Lift the hold; and if nothing else stands in the way, have viewers get it, whether a clock runs or not."""
    check_names(farm, [edition.version for edition in release.editions])
    farm.ledger.hold(release.episode, held=False, by=by)
    try:
        ref = flip(farm, release)
    except ReleaseError as error:
        return Gone(generation=None, hindrance=error.message)
    publish(farm, ref)
    return Gone(generation=ref.generation)


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"

"""
Looks ahead while there is time: a release that would be late is told hours before, with what to give up for it.

Runs beside the clock, in a thread of a `Watch`: drawing the future takes as long as it takes, and no flip waits for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import AvantError
from workers import host
from workers.degrade import Remedy, chosen, remedies
from workers.ledger import By, Ledger, Release
from workers.observability import reports
from workers.observability.reports import Culprit
from workers.outlook import Floor, floor, known
from workers.readiness import Known, Outlook, readiness

#: Seconds between two looks, and how many times as long as the last one took: a fifth of a processor at most.
INTERVAL = 15.0
SHARE = 4.0
#: Nothing is drawn while a flip is so near, in seconds: it would share the processor with it.
CALM = 30.0
#: Releases further ahead are not looked at: too much will be submitted, and mended, before.
AHEAD = timedelta(hours=24)
#: Seconds to spare with which a release that was in danger is safe: not one that comes and goes with each look.
RELIEF = 60.0

log = structlog.get_logger()


class Lookout:
    """One of any number: who gives something up is settled by the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: What was said last of each release that is in danger: why it is for ever, and what was offered.
        self._said: dict[str, tuple[str, ...]] = {}

    def look(self) -> None:
        """Look at every release to come, once. Raises nothing that time may heal."""
        with self._outliving():
            now, armed = self._ledger.now(), self._ledger.armed()
            if any(0 <= (release.at - now).total_seconds() < CALM for release in armed):
                return
            near = [release for release in armed if release.at - now < AHEAD]
            on = floor(self._ledger) if near else None
            for release in near:
                with self._outliving(release.episode):
                    self._look_at(release, on)
            for episode in self._said.keys() - {release.episode for release in armed}:
                del self._said[episode]

    @contextmanager
    def _outliving(self, episode: str = "") -> Iterator[None]:
        """Log what stands in the way, and go on: the next look tries again."""
        try:
            yield
        except (AvantError, SQLAlchemyError) as error:
            told = str(error) if isinstance(error, AvantError) else type(error).__name__
            log.warning("release.unforeseen", episode=episode, reason=told)

    def _look_at(self, release: Release, on: Floor | None) -> None:
        facts = known(self._ledger, release.episode, on)
        ahead = _ahead(facts)
        if ahead.safe:
            relieved = ahead.slack is None or ahead.slack >= RELIEF
            if relieved and self._said.pop(release.episode, None) is not None:
                log.info("release.safe", **self._about(facts, ahead))
            return
        remedy = chosen(remedies(facts, ahead, release.episode))
        said = (*ahead.why, *(remedy.names if remedy else ()))
        if self._said.get(release.episode) != said:
            self._said[release.episode] = said
            offered = list(remedy.names) if remedy else []
            log.error("release.endangered", offered=offered, why=list(ahead.why), **self._about(facts, ahead))
            self._report(facts, ahead, offered)
        if remedy and remedy.automatic and not release.held:  # who holds it decides
            self._give_up(facts, ahead, remedy)

    def _give_up(self, facts: Known, ahead: Outlook, remedy: Remedy) -> None:
        by = By(who="clock", action="drop", why=f"else {_told(ahead)}; with it {_told(remedy.outlook)}")
        taken = [
            name for name in remedy.names if self._ledger.give_up(facts.overview.plan.episode, name, by=by) is not None
        ]
        if taken:  # else another clock was first
            log.warning("release.degraded", given_up=taken, **self._about(facts, remedy.outlook))

    def _report(self, facts: Known, ahead: Outlook, offered: list[str]) -> None:
        plan = facts.overview.plan
        culprit = Culprit(
            episode=plan.episode,
            step="release",
            kind="release",
            host=host.name(),
            trace=self._ledger.trace(plan.episode, plan.version),
            label=f"release {facts.release.wall if facts.release else ''}",
            worker="clock",
            attempt=1,
        )
        offer = f" `avant release drop {plan.episode} NAME` may give up {' and '.join(offered)}." if offered else ""
        reports.alarm(
            f"The release of `{plan.episode}` would not be in time.",
            culprit,
            hint=f"{_told(ahead).capitalize()}. See `avant release show {plan.episode}`.{offer}",
        )

    def _about(self, facts: Known, outlook: Outlook) -> dict[str, object]:
        episode = facts.overview.plan.episode
        return {
            "episode": episode,
            "trace": self._ledger.trace(episode, facts.overview.plan.version),
            "state": outlook.state,
            "slack_s": None if outlook.slack is None else round(outlook.slack, 1),
            "p95": outlook.p95.isoformat(timespec="seconds") if outlook.p95 else None,
        }


def pause(took: float) -> float:
    """Seconds until the next look, after one that took so long."""
    return max(INTERVAL, SHARE * took)


def _ahead(facts: Known) -> Outlook:
    """Of the least edition; nothing is drawn when it is whole, or viewers have it."""
    least = facts.offered[0]
    if not facts.lacks[least.version] or facts.ref.version == least.version:
        return Outlook(state="ready")
    return readiness(facts, facts.overview.plan.episode).least.outlook


def _told(outlook: Outlook) -> str:
    return f"ready by {outlook.p95:%H:%M:%S} UTC" if outlook.p95 else f"never ready, {'; '.join(outlook.why)}"

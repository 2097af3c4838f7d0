"""
One episode, from its document to viewers, on this machine: examine, plan, submit, work, arm, flip.

The same worker processes as a farm's do the work; this only asks, watches, and releases.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pipelines import errors
from pipelines.errors import AvantError, ConfigurationError, Interrupted, ToolError
from pipelines.plan import Plan
from pipelines.release import Ref
from workers import clock, host
from workers.checkpoint import recheck
from workers.crew import Crew
from workers.farm import Farm
from workers.lanes import mix
from workers.ledger import Ledger, Overview, Release, StepView, Submitted
from workers.submission import Order, planned, tell
from workers.supervisor import Supervisor, sweep
from workers.watch import Watch

#: Seconds from one look at the ledger to the next.
INTERVAL = 0.25
#: Failures of one step that are this host's doing. A farm may wait for a better host; here there is none.
HOST_FAULTS = 3


def plan_of(order: Order, farm: Farm) -> Plan:
    """Examine what was delivered and plan it. An embedded store may go on starting meanwhile if no source is in it."""
    if order.remote:
        farm.wait()
    return planned(order, farm.store)


def check_room(plan: Plan, farm: Farm, slots: int) -> None:
    """
    Raise `HostError` unless what is still to be made of `plan` fits on this machine's disk, by the plan's estimates.

    Each slot that packages may hold a track twice, joined and cut; an embedded store keeps chunks as well as tracks.
    """
    made = farm.ledger.artifacts(track.digest for track in plan.tracks)
    sizes = [track.size for track in plan.tracks if track.digest not in made]
    kept = 2 * sum(sizes) if farm.embeds(farm.settings.s3_endpoint) else 0
    host.check_room(farm.settings.home, 2 * slots * max(sizes) + kept if sizes else 0)


def submit(order: Order, plan: Plan, farm: Farm) -> Submitted:
    """Hand the plan to the ledger; the most urgent work of the farm is then the one whose release is nearest."""
    submitted = farm.ledger.submit(plan, deadline=order.release.utc if order.release else None)
    tell(plan, submitted)
    return submitted


@contextmanager
def crewed(farm: Farm, slots: int | None) -> Iterator[Crew]:
    """Slots of this machine, to be born: what they are forked from starts while the delivery is examined."""
    settings = farm.settings
    crew = Crew(settings, mix(slots or settings.slots or host.processors()), "workers.dispatch")
    try:
        yield crew
    finally:
        crew.end()


def work(plan: Plan, farm: Farm, crew: Crew, tick: Callable[[Overview, Supervisor], None]) -> Overview:
    """
    Have all steps of `plan` done by this machine's slots; `tick` hears four times a second how far they are. What is
    armed is released meanwhile.

    Raises the error of a step that failed for good, once nothing else of the episode can go on; `ConfigurationError`
    when operators let this host do nothing.
    """
    check_open(farm.ledger, farm.settings.machine)
    slots = tuple(slot.slots for slot in crew.slots)
    with Supervisor(farm.settings, farm.ledger, slots=slots, crew=crew) as supervisor:
        farm.wait()
        with Watch(farm):  # not before: a store that is still starting would be found to be down
            return _worked(plan, farm, supervisor, tick)


def _worked(plan: Plan, farm: Farm, supervisor: Supervisor, tick: Callable[[Overview, Supervisor], None]) -> Overview:
    ticking = clock.Clock(farm)
    supervisor.wake()
    due = 0.0
    while True:
        supervisor.poll()
        if time.monotonic() >= due:
            due = time.monotonic() + ticking.tick()
        farm.check()
        overview = farm.ledger.overview(plan.episode)
        assert overview is not None  # noqa: S101 - it was submitted above
        tick(overview, supervisor)
        if overview.ready:
            return overview
        _give_up_if_stuck(overview)
        time.sleep(INTERVAL)


def check_open(ledger: Ledger, name: str) -> None:
    """Raise `ConfigurationError` if the host of that name, ours, is drained: whoever waits would wait in vain."""
    if name in ledger.look().drained:
        raise ConfigurationError(f"This host, `{name}`, is drained.", hint=f"`avant undrain {name}`.")


def tidy(farm: Farm) -> None:
    """Remove what a run left that was killed when its work was done. Slots that are started begin with that."""
    sweep(farm.settings.home)


def release(release: Release, farm: Farm, tick: Callable[[timedelta], None]) -> Ref:
    """
    Wait for the release's time, then flip; `tick` hears twice a second how long it still is. What else is armed is
    released meanwhile.

    What was proved long ago, and by nobody since, is looked at again first.
    """
    farm.wait()
    with Watch(farm):
        ticking = clock.Clock(farm)
        while (left := release.at - farm.ledger.now()) > timedelta():
            tick(left)
            time.sleep(min(ticking.tick(), left.total_seconds()))
        if any(lack.kind == "stale" for edition in release.editions for lack in farm.ledger.lacking(edition)):
            recheck(farm, release)
        ref = clock.flip(farm, release)  # before the watch ends: what it has under way may take seconds to
        clock.publish(farm, ref)
    return ref


def seconds_taken(overview: Overview, now: datetime) -> dict[str, float]:
    """Seconds of work by kind of step, as the ledger saw them; steps that were not needed took none."""
    taken: dict[str, float] = {}
    for view in overview.steps:
        if view.started_at and view.started_at >= overview.submitted_at:
            spent = ((view.finished_at or now) - view.started_at).total_seconds()
            taken[view.step.job.kind] = round(taken.get(view.step.job.kind, 0.0) + spent, 3)
    return taken


def standstill(overview: Overview) -> AvantError | None:
    """The error of what failed for good, once nothing else of the episode can go on; or that it was called off."""
    if overview.cancelled_at:
        return Interrupted(f"`{overview.plan.episode}` was cancelled.", hint="Submit it again to have it made.")
    moving = any(view.state in ("running", "ready") for view in overview.steps)
    return _error_of(overview.stuck[0]) if overview.stuck and not moving else None


def _give_up_if_stuck(overview: Overview) -> None:
    if error := standstill(overview):
        raise error
    for view in overview.steps:
        if view.state == "ready" and view.attempts >= HOST_FAULTS and view.fault and view.fault.kind == "HostError":
            raise _error_of(view)


def _error_of(view: StepView) -> AvantError:
    """The error that ended a step, as the command line answers for it."""
    if view.fault is None:
        return ToolError(
            f"`{view.step.label}` was given up: its workers vanished {view.attempts} times.",
            hint="Look for what kills them (memory?) in the logs, then run the episode again.",
        )
    kind = getattr(errors, view.fault.kind, ToolError)
    error: AvantError = kind(f"{view.step.label}: {view.fault.message}", hint=view.fault.hint)
    return error

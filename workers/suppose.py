"""
What if? The same knowledge of a release, but with fewer slots, a track that comes later, or something given up.

Pure: a supposition takes what is known and returns what would be known.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pipelines.arrival import Arrival, arriving
from pipelines.delivery import Fallback
from pipelines.plan import Plan, fall_back, missing
from workers.ledger.urgency import latest_start
from workers.pace import Queued, Seat
from workers.readiness import Known


def given_up(known: Known, fallback: Fallback) -> Known:
    """If the release no longer waited for what `fallback` drops. Raises `DeliveryError` if too little were left."""
    return _with_plan(known, fall_back(known.overview.plan, fallback), {})


def arrived(known: Known, arrival: Arrival, at: datetime) -> Known:
    """If that sound or text came at `at`, not before, and the release waited for it."""
    plan, first = arriving(known.overview.plan, arrival)
    wait = max(0.0, (at - known.overview.now).total_seconds())
    return _with_plan(known, plan, dict.fromkeys(first, wait))


def lost(known: Known, slots: int) -> Known:
    """
    If so many slots were gone, those that encode first, and with them what they have done of their steps.

    The worst case: of the steps that run, those are begun again that have run longest.
    """
    heavy_first = sorted(known.seats, key=lambda seat: "encode" not in seat.lanes)
    gone, left = heavy_first[:slots], heavy_first[slots:]
    queue = list(known.queue)
    for seat in gone:
        _begin_again(queue, seat)
    return replace(known, seats=tuple(left), queue=tuple(queue))


def _begin_again(queue: list[Queued], seat: Seat) -> None:
    running = [number for number, one in enumerate(queue) if one.elapsed and one.step.lane in seat.lanes]
    if running:
        longest = max(running, key=lambda number: queue[number].elapsed)
        queue[longest] = replace(queue[longest], progress=0.0, elapsed=0.0)


def _with_plan(known: Known, plan: Plan, arrivals: Mapping[str, float]) -> Known:
    """If the episode had another plan: what runs goes on, what failed stays failed, the rest is queued anew."""
    overview = known.overview
    due, came = overview.deadline, overview.submitted_at.timestamp()
    running = [one for one in known.queue if one.ours and one.elapsed]
    under_way = {made for one in running for made in one.step.makes}
    failed = {made for view in overview.stuck for made in view.step.makes}
    waits = {one.step.id: one.arrival for one in known.queue} | dict(arrivals)
    todo = () if overview.cancelled_at else missing(plan, set(overview.made) | under_way)
    anew = [
        Queued(
            step=step,
            key=latest_start(step, deadline=due.timestamp() if due else None, submitted_at=came),
            ours=True,
            arrival=waits.get(step.id, 0.0),
        )
        for step in todo
        if not failed.intersection(step.makes)
    ]
    return replace(
        known,
        overview=replace(overview, plan=plan),
        release=replace(known.release, editions=plan.editions) if known.release else None,
        lacks={
            edition.version: known.lacks.get(edition.version)
            or dict.fromkeys((goal for goal in edition.goals if goal not in overview.made), "")
            for edition in plan.editions
        },
        queue=(*running, *anew, *(one for one in known.queue if not one.ours)),
    )

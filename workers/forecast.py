"""
When will an episode be ready, likely and at the latest? Its steps and those that go before them, laid out on the
farm's slots again and again, each time with durations drawn from what steps like them really took.

Pure. What a step takes is measured by what it is (which encoder setting and rungs, which codec) and by the host that it
may get, drawn from those that have slots for it now: a slow host that is gone says nothing about those that are there.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from pipelines.step import Step
from workers.eta import TELLING
from workers.pace import Pace, Queued, Seat, sort_of
from workers.schedule import Task, schedule

#: How often the future is drawn; the 95th percentile of it is then known to a few per cent.
DRAWS = 40
#: Seconds from now until each artifact exists that will.
Future = Mapping[str, float]
#: So many measurements of the very same sort of step say more than many of others.
ENOUGH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds from now until an episode is ready: as likely before as after, and with 95 % certainty."""

    p50: float
    p95: float


def forecast(
    queue: Sequence[Queued], seats: Sequence[Seat], paces: Sequence[Pace], chance: random.Random
) -> Forecast | None:
    """When the last of our steps in `queue` ends on `seats`; None: never, since none of them serves its lane."""
    ours = {made for one in queue if one.ours for made in one.step.makes}
    ends = [last(future, ours) for future in futures(queue, seats, paces, chance)] if ours else [0.0]
    return summed(ends)


def futures(
    queue: Sequence[Queued], seats: Sequence[Seat], paces: Sequence[Pace], chance: random.Random
) -> tuple[Future, ...]:
    """The end of every step in `queue` on `seats`, drawn again and again."""
    drawn = _Drawn(paces, seats, chance)
    makers = {made: one.step.id for one in queue for made in one.step.makes}
    lanes = [seat.lanes for seat in seats]
    found = []
    for _ in range(DRAWS):
        spans = schedule([_task(one, drawn.seconds(one), makers) for one in queue], lanes)
        found.append({made: spans[maker].end for made, maker in makers.items() if maker in spans})
    return tuple(found)


def last(future: Future, made: Collection[str]) -> float | None:
    """Seconds from now until all these artifacts exist; None: not in that future."""
    ends = [future.get(each) for each in made]
    return None if None in ends else max((end for end in ends if end is not None), default=0.0)


def summed(ends: Sequence[float | None]) -> Forecast | None:
    """What the ends of so many futures say together; None if one of them never comes."""
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    if len(known) == 1:
        return Forecast(p50=known[0], p95=known[0])
    parts = quantiles(known, n=20, method="inclusive")
    return Forecast(p50=parts[9], p95=parts[18])


class _Drawn:
    """Durations, drawn from measurements of the same sort on one of the hosts, else on any, of its kind, or of all."""

    def __init__(self, paces: Sequence[Pace], seats: Sequence[Seat], chance: random.Random) -> None:
        self._chance = chance
        self._pools: dict[object, list[float]] = defaultdict(list)
        for pace in paces:
            for pool in {(pace.host, pace.sort), pace.sort, pace.sort[:1], ()}:
                self._pools[pool].append(pace.ratio)
        self._hosts: dict[str, list[str]] = defaultdict(list)
        for seat in seats:
            for lane in seat.lanes:
                self._hosts[lane].append(seat.host)

    def seconds(self, one: Queued) -> float:
        """What is left of a step; one that is well under way is judged by itself."""
        if one.progress >= TELLING and one.elapsed > 0:
            return one.elapsed * (1 - one.progress) / one.progress
        return max(0.1, one.step.cost * self._ratio(one.step) - one.elapsed)

    def _ratio(self, step: Step) -> float:
        sort, hosts = sort_of(step), self._hosts.get(step.lane)
        host = self._chance.choice(hosts) if hosts else ""
        pools = (self._pools.get(pool, []) for pool in ((host, sort), sort, sort[:1], ()))
        pool = next((pool for pool in pools if len(pool) >= ENOUGH), None) or self._pools.get(())
        return self._chance.choice(pool) if pool else 1.0


def _task(one: Queued, seconds: float, makers: Mapping[str, str]) -> Task:
    return Task(
        id=one.step.id,
        lane=one.step.lane,
        key=(one.elapsed == 0, one.key),
        seconds=seconds,
        needs={makers[need] for need in one.step.needs if need in makers},
        arrival=one.arrival,
    )

"""
Who would work on what, when: the farm's order of claims on a simulated clock.

Pure. Whenever a slot is idle, the most urgent ready step that an idle slot serves begins, on the first such slot; no
step is interrupted, and none is looked at before it has arrived.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A step, as far as it matters when it runs. Times are seconds on the simulated clock."""

    id: str
    lane: str
    #: Lowest goes first; of equals, the one listed first.
    key: tuple[float, ...]
    seconds: float
    #: Ids of the tasks that must have ended.
    needs: Collection[str] = ()
    #: When it is submitted.
    arrival: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a task ran, and on which slot, counted from zero."""

    start: float
    end: float
    slot: int


def schedule(tasks: Sequence[Task], slots: Sequence[Collection[str]]) -> Mapping[str, Span]:
    """When each task runs on `slots`, given as the lanes that each serves; one that none serves does not run."""
    clock = _Clock(tasks, slots)
    while clock.advance():
        clock.fill()
    return clock.spans


class _Clock:
    """One instant after another: something arrives or ends, then idle slots are filled."""

    def __init__(self, tasks: Sequence[Task], slots: Sequence[Collection[str]]) -> None:
        self.spans: dict[str, Span] = {}
        self._tasks = tasks
        self._lacking = [len(set(task.needs)) + 1 for task in tasks]  # and its own arrival
        self._waiting: dict[str, list[int]] = defaultdict(list)
        for number, task in enumerate(tasks):
            for need in set(task.needs):
                self._waiting[need].append(number)
        #: What is to come: (time, task, the slot that it ends on or None for its arrival).
        self._events: list[tuple[float, int, int | None]] = [
            (task.arrival, number, None) for number, task in enumerate(tasks)
        ]
        heapq.heapify(self._events)
        self._ready: dict[str, list[tuple[tuple[float, ...], int]]] = defaultdict(list)
        self._classes: dict[frozenset[str], list[int]] = defaultdict(list)
        for number, lanes in enumerate(slots):
            self._classes[frozenset(lanes)].append(number)
        self._class_of = [frozenset(lanes) for lanes in slots]

    def advance(self) -> bool:
        """Go to the next event; False when there is none. What arrives at one instant arrives together."""
        if not self._events:
            return False
        self._now, number, slot = heapq.heappop(self._events)
        if slot is None:
            self._one_less(number)
            while self._events and self._events[0][0] == self._now and self._events[0][2] is None:
                self._one_less(heapq.heappop(self._events)[1])
        else:
            heapq.heappush(self._classes[self._class_of[slot]], slot)
            for waiting in self._waiting[self._tasks[number].id]:
                self._one_less(waiting)
        return True

    def fill(self) -> None:
        """Begin what can begin now, the most urgent first."""
        while (found := self._next()) is not None:
            lane, idle = found
            _, number = heapq.heappop(self._ready[lane])
            slot = heapq.heappop(idle)
            task = self._tasks[number]
            end = self._now + task.seconds
            self.spans[task.id] = Span(start=self._now, end=end, slot=slot)
            heapq.heappush(self._events, (end, number, slot))

    def _next(self) -> tuple[str, list[int]] | None:
        """The lane of the most urgent ready task for which a slot is idle, and the idle slots it takes one from."""
        best: tuple[tuple[tuple[float, ...], int], str, list[int]] | None = None
        for lane, ready in self._ready.items():
            idle = min((idle for lanes, idle in self._classes.items() if lane in lanes and idle), default=None)
            if ready and idle and (best is None or ready[0] < best[0]):
                best = (ready[0], lane, idle)
        return best and best[1:]

    def _one_less(self, number: int) -> None:
        self._lacking[number] -= 1
        if self._lacking[number] == 0:
            task = self._tasks[number]
            heapq.heappush(self._ready[task.lane], (task.key, number))

"""
When will it be done? The plan's own costs, corrected by what was measured so far, laid out on the slots there are.

Pure. The static costs say how steps compare; the steps that ran say how fast this farm really is.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.step import Step
from workers.schedule import Task, schedule

#: Below this share a running step's own speed says nothing.
TELLING = 0.1
#: Estimated seconds that count as having gone as estimated, before anything was measured: short steps scatter.
PRIOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A step and how far it is."""

    step: Step
    #: Share of it that is done: 0 not begun, 1 committed.
    progress: float = 0.0
    #: Seconds it has run, or ran.
    elapsed: float = 0.0

    @property
    def done(self) -> bool:
        return self.progress >= 1.0

    @property
    def kind(self) -> str:
        return self.step.job.kind


def seconds_left(loads: Sequence[Load], slots: Sequence[Collection[str]]) -> float:
    """Seconds until the last of `loads` is committed on `slots`, each given as the lanes that it serves."""
    speed = _speeds(loads)
    left = {load.step.id: _left(load, speed) for load in loads if not load.done}
    return _simulated([load for load in loads if not load.done], left, slots)


def share_done(loads: Sequence[Load]) -> float:
    """Share of the estimated work that is done, 0 to 1."""
    total = sum(load.step.cost for load in loads)
    return sum(load.step.cost * min(1.0, load.progress) for load in loads) / total if total else 1.0


def left_of(progress: float, elapsed: float, usual: float) -> float:
    """
    Seconds left of a step that takes `usual` seconds as a rule. One that runs is judged by itself, the more the further
    it is.
    """
    if progress < TELLING or elapsed <= 0:
        return max(0.1, usual - elapsed)
    own = elapsed * (1 - progress) / progress
    return progress * own + (1 - progress) * usual * (1 - progress)


def _speeds(loads: Sequence[Load]) -> Mapping[str, float]:
    """Measured seconds per estimated second, by kind; kinds that have hardly run are taken for the usual."""
    spent: dict[str, float] = defaultdict(float)
    estimated: dict[str, float] = defaultdict(float)
    for load in loads:
        if load.progress >= TELLING and load.elapsed > 0:
            spent[load.kind] += load.elapsed
            estimated[load.kind] += load.step.cost * load.progress
    usual = (sum(spent.values()) + PRIOR) / (sum(estimated.values()) + PRIOR)
    known = {kind: (spent[kind] + PRIOR * usual) / (estimated[kind] + PRIOR) for kind in spent}
    return defaultdict(lambda: usual, known)


def _left(load: Load, speed: Mapping[str, float]) -> float:
    return left_of(load.progress, load.elapsed, load.step.cost * speed[load.kind])


def _simulated(loads: Sequence[Load], left: Mapping[str, float], slots: Sequence[Collection[str]]) -> float:
    """The makespan of a list schedule: running steps first, then the most urgent one that is ready, slot by slot."""
    absent = {made: load.step.id for load in loads for made in load.step.makes}
    tasks = [
        Task(
            id=load.step.id,
            lane=load.step.lane,
            key=(load.elapsed == 0, -load.step.tail),
            seconds=left[load.step.id],
            needs={absent[need] for need in load.step.needs if need in absent},
        )
        for load in loads
    ]
    return max((span.end for span in schedule(tasks, slots).values()), default=0.0)

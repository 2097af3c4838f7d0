"""
Which steps a slot may take, and how many slots of which class a machine has.

Each class has one queue of tickets, and each slot serves one class: a worker that listened to two queues would hold a
ticket of one hostage while it works for the other. Light slots never take heavy work, so that finishing an urgent
episode never waits behind an encode; heavy slots also finish, so that no processor idles at the end of an episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.plan import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClass:
    """Slots that take the same steps, and the queue of tickets that wakes them."""

    name: str
    lanes: tuple[Lane, ...]

    def ready(self, by_lane: Mapping[Lane, int]) -> int:
        """How many of the ready steps are for this class."""
        return sum(by_lane.get(lane, 0) for lane in self.lanes)


HEAVY = SlotClass(name="heavy", lanes=("encode", "audio", "package", "control"))
#: Warming is hours of waiting for a network: it never occupies a heavy slot.
LIGHT = SlotClass(name="light", lanes=("package", "control", "warm"))
CLASSES = (HEAVY, LIGHT)


def slot_class(name: str) -> SlotClass:
    """The class of that name. Raises `KeyError`."""
    return {known.name: known for known in CLASSES}[name]


def mix(heavy: int) -> tuple[SlotClass, ...]:
    """The slots of a machine: that many heavy ones, and a light one for every four, at least one."""
    return (HEAVY,) * heavy + (LIGHT,) * max(1, heavy // 4)

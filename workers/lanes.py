"""
Which steps a slot may take, and how many slots of which class a machine has.

Each class has one queue of tickets, and each slot serves one class: a worker that listened to two queues would hold a
ticket of one hostage while it works for the other. Light slots never take heavy work, so that finishing an urgent
episode never waits behind an encode; sound slots take nothing else, so that sound never waits for pictures. Heavy slots
take all of that too but warming, so that no processor idles at the end of an episode.

Slots of a host that serves only some lanes are a class of their own, `heavy.encode.audio`: with others' tickets they
could do nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from pipelines.step import Lane

LANES: tuple[Lane, ...] = get_args(Lane)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClass:
    """Slots that take the same steps, and the queue of tickets that wakes them."""

    name: str
    lanes: tuple[Lane, ...]

    def ready(self, by_lane: Mapping[Lane, int]) -> int:
        """How many of the ready steps are for this class."""
        return sum(by_lane.get(lane, 0) for lane in self.lanes)

    def only(self, lanes: Collection[Lane]) -> "SlotClass":
        """Slots that take of `lanes` what these take."""
        left = tuple(lane for lane in self.lanes if lane in lanes)
        return self if left == self.lanes else SlotClass(name=".".join((self.name, *left)), lanes=left)

    @property
    def heavy(self) -> bool:
        """Whether they take a processor for long."""
        return self.name.partition(".")[0] != LIGHT.name


HEAVY = SlotClass(name="heavy", lanes=("encode", "audio", "package", "control"))
#: Warming is hours of waiting for a network: it never occupies a heavy slot.
LIGHT = SlotClass(name="light", lanes=("package", "control", "warm"))
SOUND = SlotClass(name="sound", lanes=("audio",))
#: Of hosts that serve all lanes.
CLASSES = (HEAVY, LIGHT, SOUND)


def one_by_one(slots: Mapping[str, int]) -> tuple[SlotClass, ...]:
    """So many slots of each class, one by one."""
    return tuple(slot_class(name) for name, number in slots.items() for _ in range(number))


def slot_class(name: str) -> SlotClass:
    """The class of that name. Raises `KeyError`."""
    whole, *lanes = name.split(".")
    known = {each.name: each for each in CLASSES}[whole]
    return known.only([lane for lane in LANES if lane in lanes]) if lanes else known


def mix(number: int, lanes: Collection[Lane] = LANES) -> tuple[SlotClass, ...]:
    """
    The slots of a machine that serves `lanes`: that many heavy ones, and for every four, at least once, a light one and
    one for sound.

    A class that is left without a lane has no slots; where that is the heavy one, all are light.
    """
    heavy, *others = (each.only(lanes) for each in CLASSES)
    if not heavy.lanes:
        return (others[0],) * number
    return (heavy,) * number + tuple(each for each in others if each.lanes for _ in range(max(1, number // 4)))

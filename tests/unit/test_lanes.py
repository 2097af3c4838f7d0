"""Which slots a host has, and what they take."""

import pytest

from pipelines.step import Lane
from workers.lanes import HEAVY, LANES, LIGHT, SOUND, mix, one_by_one, slot_class


def shape(number: int, *lanes: Lane) -> list[tuple[str, tuple[str, ...], int]]:
    slots = mix(number, lanes) if lanes else mix(number)
    return [(each.name, each.lanes, slots.count(each)) for each in dict.fromkeys(slots)]


def test_for_every_four_heavy_slots_a_host_has_a_light_one_and_one_for_sound() -> None:
    """At least one, so that neither finishing nor sound waits behind encodes."""
    assert [tuple(mix(number).count(each) for each in (HEAVY, LIGHT, SOUND)) for number in (1, 4, 8, 9)] == [
        (1, 1, 1),
        (4, 1, 1),
        (8, 2, 2),
        (9, 2, 2),
    ]


def test_slots_take_only_what_their_host_serves() -> None:
    """A class without a lane has no slots; where nothing is heavy, all are light."""
    assert shape(8, "encode", "audio") == [
        ("heavy.encode.audio", ("encode", "audio"), 8),
        ("sound", ("audio",), 2),
    ]
    assert shape(8, "encode", "warm") == [
        ("heavy.encode", ("encode",), 8),
        ("light.warm", ("warm",), 2),
    ]
    assert shape(8, "warm") == [("light.warm", ("warm",), 8)]
    assert shape(1, "package") == [
        ("heavy.package", ("package",), 1),
        ("light.package", ("package",), 1),
    ]


def test_slots_that_serve_less_have_tickets_of_their_own() -> None:
    """With others' they could do nothing. Their name says all that another process needs to know."""
    some = HEAVY.only(["audio", "encode", "warm"])
    assert (some.name, some.heavy, LIGHT.only(["warm"]).heavy) == ("heavy.encode.audio", True, False)
    assert SOUND.heavy
    assert slot_class(some.name) == some
    assert HEAVY.only(LANES) is HEAVY
    with pytest.raises(KeyError):
        slot_class("medium")


def test_the_slots_of_a_host_are_told_one_by_one() -> None:
    assert one_by_one({"heavy": 2, "light": 1}) == (HEAVY, HEAVY, LIGHT)
    assert one_by_one({"light.warm": 1}) == (LIGHT.only(["warm"]),)
    assert one_by_one({}) == ()

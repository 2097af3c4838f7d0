"""Wherever a viewer goes, that is what is shown."""

import random
from collections.abc import Callable

import pytest

from tests.players.programme import Programme
from tests.players.theatre import NATIVE, PLAYERS, Stage, Way

SEEKS = 20
#: Frames. Sent there before it has told the browser that nothing follows, hls.js 1.7.4 never tells it, and a decoder
#: keeps its last frames back for that.
TAIL = 10
#: Seconds for loading all of it, on a machine that is busy with other work.
LONG = 90.0

Open = Callable[..., Stage]


@pytest.mark.parametrize("way", [*PLAYERS, NATIVE], ids=str)
def test_a_seek_shows_the_frame_of_its_time(way: Way, open_stage: Open, programme: Programme) -> None:
    """The number in the picture is the one that belongs there, not even a frame off: seeks go to the middle of one."""
    seed = random.randrange(2**32)
    stage = open_stage(way)
    for frame in random.Random(seed).choices(range(programme.frames - TAIL), k=SEEKS):
        stands = stage.seek(frame)
        assert stands["number"] == frame, f"seed {seed}: {stands}, {stage.report()}"
    assert stage.report().errors == []


@pytest.mark.parametrize("way", PLAYERS, ids=str)
def test_no_frame_is_lost_or_doubled_at_a_cut(way: Way, open_stage: Open, programme: Programme) -> None:
    """Where segments meet, and at both ends, frame follows frame."""
    stage = open_stage(way, buffer=60)
    stage.until("stage.buffered()", patience=LONG)
    around = programme.around_cuts()
    assert [stage.seek(frame)["number"] for frame in around] == around

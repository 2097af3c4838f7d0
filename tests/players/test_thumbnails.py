"""The seek bar shows what is there."""

from collections.abc import Callable

import pytest

from tests.players.programme import RATE, Programme
from tests.players.theatre import PLAYERS, Stage, Way

#: hls.js leaves thumbnails to the page around it.
WAYS = [way for way in PLAYERS if way.player != "hls.js"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_thumbnail_is_the_frame_that_its_stretch_begins_with(
    way: Way, open_stage: Callable[..., Stage], programme: Programme
) -> None:
    """Found as players find it: through the MPD's tiles, and through the WebVTT index that HLS's session data names."""
    stage = open_stage(way)
    firsts = range(0, programme.frames, programme.cadence.gop)
    seconds = [(first + min(first + programme.cadence.gop, programme.frames)) / 2 / RATE for first in firsts]
    assert [stage.ask("stage.thumbnail(second)", second=second) for second in seconds] == list(firsts)
    assert stage.report().errors == []

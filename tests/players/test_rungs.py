"""Up and down the ladder while the picture moves."""

from collections.abc import Callable

import pytest

from tests.players.programme import RATE, Programme
from tests.players.theatre import PLAYERS, Stage, Way


@pytest.mark.parametrize("way", PLAYERS, ids=str)
def test_every_rung_takes_over_from_its_neighbours(
    way: Way, open_stage: Callable[..., Stage], programme: Programme
) -> None:
    """From the lowest to the highest and back: each rung is seen, no frame at another's time, and no decoder trips."""
    stage = open_stage(way)
    assert sorted(stage.ask("stage.player.heights()")) == sorted(programme.heights)
    up = sorted(programme.heights)
    stage.ask("stage.watch()")
    # Some players finish a group of pictures first, and the programme has but seven.
    stage.ask("stage.video.playbackRate = 1.5")
    stage.start()
    for height in (*up, *up[-2::-1]):
        stage.ask("stage.player.show(height)", height=height)
        stage.until("stage.video.videoHeight === height", height=height)
    seen = stage.ask("stage.watched")
    assert {frame["height"] for frame in seen} == set(programme.heights)
    assert [frame["number"] for frame in seen] == [round(frame["time"] * RATE) for frame in seen]
    assert stage.report().errors == []

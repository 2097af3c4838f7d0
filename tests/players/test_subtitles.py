"""Words are shown when they are spoken."""

from collections.abc import Callable

import pytest

from tests.players.programme import Programme
from tests.players.theatre import PLAYERS, Stage, Way

#: Seconds: half a frame, so that no cue is seen with another picture than the one it was made for.
CLOSE = 0.02


@pytest.mark.parametrize("way", PLAYERS, ids=str)
def test_players_hold_every_cue_at_its_time(way: Way, open_stage: Callable[..., Stage], programme: Programme) -> None:
    """From the first cue to the last: no offset, no drift, none lost or doubled where segments meet."""
    stage = open_stage(way)
    stage.start()
    for language, cues in programme.cues.items():
        stage.ask("stage.player.read(language)", language=language)
        stage.until("stage.cues(language).length >= count", language=language, count=len(cues))
        held = stage.ask("stage.cues(language)", language=language)
        assert [words for _, _, words in held] == [words for _, _, words in cues]
        for (start, end, words), (wanted_start, wanted_end, _) in zip(held, cues, strict=True):
            assert (start, end) == pytest.approx((wanted_start, wanted_end), abs=CLOSE), words
    assert stage.report().errors == []

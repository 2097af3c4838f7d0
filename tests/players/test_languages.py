"""A language is chosen by ear."""

from collections.abc import Callable

import pytest

from scripts.synthesise import TONES
from tests.players.programme import Programme
from tests.players.theatre import PLAYERS, Stage, Way


@pytest.mark.parametrize("way", PLAYERS, ids=str)
def test_another_language_is_heard_within_a_segment(
    way: Way, open_stage: Callable[..., Stage], programme: Programme
) -> None:
    """The original is heard first; whoever picks another hears that one, and it alone, before a segment has gone by."""
    stage = open_stage(way)
    stage.ask("stage.listen(tones)", tones=TONES)
    stage.start()
    stage.until("stage.tone() === 'en'")
    taken = {}
    for language in ("fr", "de", "en"):
        asked = stage.now()
        stage.ask("stage.player.hear(language)", language=language)
        stage.until("stage.tone() === language", language=language)
        taken[language] = stage.now() - asked
    assert max(taken.values()) < programme.cadence.segment_seconds, taken
    assert stage.report().errors == []

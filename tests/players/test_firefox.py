"""The same programme in another engine, with decoders of its own."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.players.marionette import firefox
from tests.players.programme import SECONDS, Programme
from tests.players.theatre import PLAYERS, Theatre, Way

FIREFOX = shutil.which("firefox-esr")
SEEKS = 20


@pytest.fixture(scope="module")
def theatre(address: str, programme: Programme, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    if not FIREFOX:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("not installed: firefox-esr")
    folder: Path = tmp_path_factory.mktemp("firefox")
    with firefox(FIREFOX, folder) as tab:
        yield Theatre(open_page=lambda: nullcontext(tab), url=address, manifests=programme.manifests)


@pytest.mark.long
@pytest.mark.parametrize("way", PLAYERS, ids=str)
def test_firefox_plays_every_frame_at_its_time(way: Way, theatre: Theatre, programme: Programme) -> None:
    """To the end without an error or a gap, with every cue in its place, and whatever is sought is found."""
    with theatre.stage(way) as stage:
        stage.ask("stage.player.read('fr')")
        stage.ask("stage.play(still)", still=10, patience=10 * SECONDS)
        assert [words for _, _, words in stage.ask("stage.cues('fr')")] == [
            words for _, _, words in programme.cues["fr"]
        ]
        seed = random.randrange(2**32)
        report = stage.report()
        for frame in random.Random(seed).choices(range(programme.frames), k=SEEKS) + programme.around_cuts():
            stands = stage.seek(frame)
            assert stands["number"] == frame, f"seed {seed}: {stands}, {stage.report()}"
    assert report.ended
    assert report.errors == []
    assert report.gaps == []
    assert [len(ranges) for ranges in report.buffers.values()] == [1, 1]
    # Firefox's counter is off by one now and then, up or down.
    assert report.frames == pytest.approx(programme.frames, abs=2)

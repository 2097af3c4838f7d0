"""The same programme in Safari's engine, with GStreamer's decoders."""

import os
import shutil
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.players.programme import SECONDS, Programme
from tests.players.theatre import PLAYERS, Theatre, Way
from tests.players.webdriver import mini_browser, webkit

#: Shaka 5.2.12 takes MiniBrowser for a set-top box, and loads all of HLS but buffers none of it; DASH it plays.
WAYS = [way for way in PLAYERS if (way.player, way.format) != ("shaka", "hls")]
DRIVER, SCREEN, BROWSER = shutil.which("WebKitWebDriver"), shutil.which("xvfb-run"), mini_browser()


@pytest.fixture(scope="module")
def theatre(address: str, programme: Programme, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    if not (DRIVER and SCREEN and BROWSER):
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("not installed: webkit2gtk-driver, xvfb (scripts/setup --players)")
    with webkit(DRIVER, SCREEN, BROWSER, tmp_path_factory.mktemp("webkit")) as window:
        yield Theatre(open_page=lambda: nullcontext(window), url=address, manifests=programme.manifests)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_webkit_plays_to_the_end(way: Way, theatre: Theatre, programme: Programme) -> None:
    """Without an error or a gap, with every cue in its place."""
    with theatre.stage(way) as stage:
        stage.ask("stage.player.read('fr')")
        stage.ask("stage.play(still)", still=10, patience=10 * SECONDS)
        assert [words for _, _, words in stage.ask("stage.cues('fr')")] == [
            words for _, _, words in programme.cues["fr"]
        ]
        report = stage.report()
    assert report.ended, report
    assert report.errors == []
    assert report.gaps == []
    assert [len(ranges) for ranges in report.buffers.values()] == [1, 1]

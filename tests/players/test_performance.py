"""To the end, without a hitch."""

from collections.abc import Iterable

import pytest

from tests.players.programme import SECONDS, Programme
from tests.players.theatre import NATIVE, PLAYERS, Report, Theatre, Way

WAYS = (*PLAYERS, NATIVE)
#: As many as there are processors in the smallest machine that runs this.
AT_ONCE = 2
#: A stream that makes players wait does so every time; a machine that has other things to do, now and then.
TRIES = 3
#: With so many seconds buffered it was not the stream that made a player wait.
ENOUGH = 1.0

#: Seconds: whoever has not come to the end by then never will.
LONGEST = 3.0 * SECONDS

#: Players round to microseconds.
ROUNDING = 0.001
AAC_FRAME = 1024 / 48_000


@pytest.fixture(scope="module")
def performances(theatre: Theatre) -> dict[Way, Report]:
    """Every player has played the programme once, at its own speed."""
    pairs = [WAYS[first : first + AT_ONCE] for first in range(0, len(WAYS), AT_ONCE)]
    reports = {way: report for pair in pairs for way, report in performed(theatre, pair)}
    return {way: undisturbed(theatre, way, report) for way, report in reports.items()}


def performed(theatre: Theatre, ways: Iterable[Way]) -> list[tuple[Way, Report]]:
    """All of them at the same time."""
    way, *others = ways
    with theatre.stage(way) as stage:
        stage.ask("window.played = stage.play(longest), 0", longest=LONGEST)
        reports = performed(theatre, others) if others else []
        stage.ask("window.played", patience=2 * LONGEST)
        return [(way, stage.report()), *reports]


def undisturbed(theatre: Theatre, way: Way, report: Report) -> Report:
    """The report, or that of another try if this one says more of the machine than of the stream."""
    for _ in range(1, TRIES):
        if not report.waits or any(wait.ahead < ENOUGH for wait in report.waits):
            break
        [(_, report)] = performed(theatre, [way])
    return report


@pytest.mark.parametrize("way", WAYS, ids=str)
class TestPerformance:
    def test_it_ends_and_nothing_goes_wrong(self, way: Way, performances: dict[Way, Report]) -> None:
        """Every player comes to the end, and has no error to tell of, not even one that it can live with."""
        assert performances[way].ended
        assert performances[way].errors == []

    def test_the_picture_never_waits(self, way: Way, performances: dict[Way, Report]) -> None:
        """Once it plays, it plays on."""
        assert performances[way].waits == []

    def test_every_frame_is_decoded_once(self, way: Way, performances: dict[Way, Report], programme: Programme) -> None:
        """As many frames as the source has: none is lost where chunks were joined or segments cut."""
        assert performances[way].frames == programme.frames

    def test_what_is_buffered_is_whole(self, way: Way, performances: dict[Way, Report], programme: Programme) -> None:
        """Sound and picture begin at nought, end with the programme, and have no gap between."""
        report = performances[way]
        assert report.gaps == []
        ends = {"video": programme.duration, "audio": pytest.approx(programme.duration, abs=AAC_FRAME)}
        parts = report.buffers or {"video": report.buffered}
        assert {kind: len(ranges) for kind, ranges in parts.items()} == dict.fromkeys(parts, 1)
        for kind, [(start, end)] in parts.items():
            assert start < ROUNDING, kind
            assert end == ends[kind] or end == pytest.approx(programme.duration, abs=ROUNDING), kind

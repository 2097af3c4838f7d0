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

#: Seconds: whoever stands still for so long never goes on.
STILL = 10.0
#: Seconds: even on a machine that is busy with other work.
LONGEST = 5.0 * SECONDS

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
        stage.ask("window.played = stage.play(still), 0", still=STILL)
        reports = performed(theatre, others) if others else []
        stage.ask("window.played", patience=LONGEST)
        return [(way, stage.report()), *reports]


def undisturbed(theatre: Theatre, way: Way, report: Report) -> Report:
    """The report, or that of another try if this one says more of the machine than of the stream."""
    for _ in range(1, TRIES):
        if not (delayed(report) or forgotten(report)):
            break
        [(_, report)] = performed(theatre, [way])
    return report


def delayed(report: Report) -> bool:
    """Whether the picture waited, and never for the stream."""
    return bool(report.waits) and all(wait.ahead >= ENOUGH for wait in report.waits)


def forgotten(report: Report) -> bool:
    """
    Whether all is buffered to the end, and the player has not told the browser that nothing follows.

    dash.js 5.2.1 tells it once, and not at all if another buffer is being written to at that moment.
    """
    ends = [end for ranges in report.buffers.values() for _, end in ranges[-1:]]
    return report.source == "open" and bool(ends) and min(ends) > report.duration - AAC_FRAME


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

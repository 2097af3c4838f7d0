"""The MPD says exactly what the tracks are, with durations that add up."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from lxml import etree

from pipelines.lint.dash_view import dash_view
from pipelines.lint.finding import Shelf
from pipelines.manifests.dash import iso_duration, mpd
from pipelines.track import Segment, VideoTrack
from tests.fakes.pages import CADENCE, POLICY, TRACKS, rung, sound

GOLDEN = Path(__file__).parent.parent / "golden"
NAMESPACE = {"d": "urn:mpeg:dash:schema:mpd:2011"}


def test_three_languages_as_a_whole() -> None:
    """The MPD of the hand-written episode, compared whole."""
    assert mpd(TRACKS, POLICY) == (GOLDEN / "main.mpd").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (Fraction(24), "PT24S"),
        (Fraction(1441440, 1000), "PT1441.44S"),
        (Fraction(100 * 1001, 24000), "PT4.170833333S"),
        (Fraction(1, 25), "PT0.04S"),
        (Fraction(1000), "PT1000S"),
    ],
)
def test_durations_are_exact_to_the_nanosecond(seconds: Fraction, text: str) -> None:
    """ISO 8601, without noughts that say nothing."""
    assert iso_duration(seconds) == text


def test_a_timeline_holds_every_segment() -> None:
    """Audio cut at the nearest AAC frame has segments of two lengths: their sum and their order are kept."""
    lengths = [288768, 287744, 288768, 288768, 1024]
    track = replace(sound("en", "original", 2), segments=tuple(Segment(duration=d, size=9) for d in lengths))
    view = dash_view(
        "v/x/main.mpd", Shelf(texts={"v/x/main.mpd": mpd([rung(234, 1, "avc1"), track], POLICY)}, sizes={})
    )
    (audio,) = view.of("audio")
    assert [seconds * 48_000 for seconds, _ in audio.pieces] == lengths
    assert audio.continuous


def test_rates_and_shapes_are_fractions() -> None:
    """23.976 is 24000/1001, in the frame rate and in the duration."""
    film = replace(rung(544, 1, "avc1"), width=1280, frame_rate=Fraction(24000, 1001))
    policy = replace(POLICY, cadence=replace(CADENCE, frame_rate=Fraction(24000, 1001)), frames=24000)
    root = etree.fromstring(mpd([film, sound("pt-BR", "original", 2)], policy).encode())
    assert root.get("mediaPresentationDuration") == "PT1001S"
    assert root.get("minBufferTime") == "PT6.006S"
    (video,) = root.iterfind(".//d:AdaptationSet[@contentType='video']", NAMESPACE)
    assert (video.get("par"), video.get("maxFrameRate")) == ("40:17", "24000/1001")


def test_a_title_can_not_break_out() -> None:
    """Markup, and what XML can't hold, change the title alone."""
    text = mpd(TRACKS, replace(POLICY, title="</Title><Period/>&x;\0\x1b\ufffe]]>"))
    root = etree.fromstring(text.encode())
    assert root.findtext("d:ProgramInformation/d:Title", namespaces=NAMESPACE) == "</Title><Period/>&x;   ]]>"
    assert len(root.findall("d:Period", NAMESPACE)) == 1


def test_ids_stay_when_the_ladder_changes() -> None:
    """A representation is called the same in every version that has its track."""
    without = [track for track in TRACKS if not isinstance(track, VideoTrack) or track.height != 234]
    ids = [
        {each.get("id") for each in etree.fromstring(mpd(tracks, POLICY).encode()).iter("{*}Representation")}
        for tracks in (TRACKS, without)
    ]
    assert ids[0] - ids[1] == {"v234"}

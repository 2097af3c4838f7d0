"""What an operator is shown is what players are served: in DASH, in HLS, and for apps."""

import json
from dataclasses import replace

import m3u8
import pytest

from pipelines import layout
from pipelines.offer import NOTHING, Offer, OfferedRung, changes, offered
from pipelines.release import entry_points
from pipelines.trim import WHOLE, Trim
from tests.fakes import night
from tests.fakes.releases import NAMES, NOT_YET, VERSION, policy, released

TRACKS = night.tracks(NAMES, "second")
POLICY = replace(policy(), default_language="en", frames=250)


def bodies(trim: Trim = WHOLE) -> dict[str, bytes]:
    return entry_points(replace(released(3), trim=trim), TRACKS, POLICY, NAMES)


def rungs(*heights: int) -> tuple[OfferedRung, ...]:
    return tuple(OfferedRung(bitrate=1000 * height, height=height) for height in heights)


def test_everything_that_a_session_may_choose_is_shown() -> None:
    assert offered(bodies()) == Offer(
        version=NAMES.name(VERSION),
        rungs=rungs(234, 540, 1080),
        audio=("en", "fr", "de"),
        default="en",
        text=("fr subtitles", "fr forced", "de subtitles"),
    )


def test_not_yet_offers_nothing() -> None:
    assert offered(entry_points(NOT_YET, (), None, NAMES)) == NOTHING


@pytest.mark.parametrize(
    "trim",
    [
        WHOLE,
        Trim(withdrawn=("en",)),
        Trim(withdrawn=("fr", "de")),
        Trim(max_height=720),
        Trim(withdrawn=("fr",), max_bitrate=300_000),
    ],
    ids=str,
)
def test_hls_and_apps_are_told_the_same(trim: Trim) -> None:
    """What is read from the MPD stands in the other two."""
    found = bodies(trim)
    offer = offered(found)
    playlist = m3u8.loads(found[layout.MULTIVARIANT_PLAYLIST].decode())
    resolutions = {variant.stream_info.resolution for variant in playlist.playlists} - {None}
    sound = [media for media in playlist.media if media.type == "AUDIO"]
    assert {height for _, height in resolutions} == {rung.height for rung in offer.rungs}
    assert {media.language for media in sound} == set(offer.audio)
    assert [media.language for media in sound if media.default == "YES"] == [offer.default]
    told = json.loads(found[layout.RELEASE])
    assert tuple(told["languages"]["audio"]) == offer.audio
    assert {each.split()[0] for each in offer.text} == set(told["languages"]["text"])


def test_a_change_is_a_line() -> None:
    """Of each thing that new sessions find otherwise, the default language included."""
    after = offered(bodies(Trim(withdrawn=("en",), max_height=720)))
    assert changes(offered(bodies()), after) == (
        "- rung 1080p (1.08 Mb/s)",
        "- audio en",
        "default language fr, not en",
    )
    assert changes(after, offered(bodies()))[:2] == ("+ rung 1080p (1.08 Mb/s)", "+ audio en")
    assert changes(after, after) == ()

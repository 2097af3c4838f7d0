"""What a canary asks for, and when: read from entry points as we render them."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from pipelines import layout
from pipelines.canary.route import (
    NotPlayedError,
    check,
    dash_route,
    hls_route,
    length,
    offered,
    playlists,
)
from pipelines.playlist import media_playlist
from pipelines.release import entry_points
from pipelines.track import AudioTrack
from pipelines.trim import Trim
from pipelines.version import Item
from tests.fakes.releases import NAMES, NOT_YET, TRACKS, policy, released
from workers.canary import turns

PICTURE, FRENCH = TRACKS[0].prefix, TRACKS[1].prefix
ITEMS = [
    Item(key=prefix + name, size=1, sha256="00" * 32)
    for prefix in (PICTURE, FRENCH)
    for name in ("init.mp4", "00001.m4s", "00002.m4s", "media.m3u8")
]
WANTED = offered(released(1), TRACKS, policy(), ITEMS)
BODIES = {file: body.decode() for file, body in entry_points(released(1), TRACKS, policy(), NAMES).items()}
ENTRY = "e/s01e01/"
MEDIA = media_playlist([(Fraction(6), "00001.m4s"), (Fraction(1), "00002.m4s")], 6, "init.mp4")


def segments(prefix: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in ("init.mp4", "00001.m4s", "00002.m4s"))


def test_hls_leads_to_a_rung_and_to_the_language() -> None:
    """By way of the playlists that the entry point names."""
    key = ENTRY + layout.MULTIVARIANT_PLAYLIST
    picture, sound = playlists(key, BODIES[layout.MULTIVARIANT_PLAYLIST], "fr")
    assert (picture, sound) == (PICTURE + "media.m3u8", FRENCH + "media.m3u8")
    texts = {key: BODIES[layout.MULTIVARIANT_PLAYLIST], picture: MEDIA, sound: MEDIA}
    route = hls_route(key, texts, picture, sound)
    assert (route.picture, route.sound) == (segments(PICTURE), segments(FRENCH))
    check(route, WANTED, "fr")


def test_dash_leads_to_the_same() -> None:
    """One set of media for both."""
    route = dash_route(ENTRY + layout.MPD, BODIES[layout.MPD], "fr")
    assert (route.picture, route.sound) == (segments(PICTURE), segments(FRENCH))
    assert length(route.sound, WANTED) == Fraction(276480 + 48000, 48000)


def test_a_language_that_is_not_offered_is_told() -> None:
    """In either protocol, and of an episode that is not there yet."""
    not_yet = {file: body.decode() for file, body in entry_points(NOT_YET, (), None, NAMES).items()}
    for bodies in (BODIES, not_yet):
        with pytest.raises(NotPlayedError):
            playlists(ENTRY + "main.m3u8", bodies["main.m3u8"], "de")
        with pytest.raises(NotPlayedError):
            dash_route(ENTRY + "main.mpd", bodies["main.mpd"], "de")


def test_a_track_under_another_languages_name_is_told() -> None:
    """What a manifest calls French must be what was packaged as French."""
    assert isinstance(TRACKS[1], AudioTrack)
    wanted = offered(released(1), (TRACKS[0], replace(TRACKS[1], language="es")), policy(), ITEMS)
    route = dash_route(ENTRY + layout.MPD, BODIES[layout.MPD], "fr")
    with pytest.raises(NotPlayedError, match="what is called `fr` is the `es` track"):
        check(route, wanted, "fr")


def test_what_was_withdrawn_must_not_be_named() -> None:
    """A canary expects what the ref offers, and nothing else of its version."""
    german = replace(TRACKS[1], language="de", digest="04" * 32, prefix=NAMES.track("04" * 32))  # type: ignore[arg-type]
    ref = replace(released(1), trim=Trim(withdrawn=("fr",)))
    wanted = offered(ref, (*TRACKS, german), policy(), ITEMS)
    assert wanted.languages == ("de",)
    with pytest.raises(NotPlayedError, match="not to get"):
        check(dash_route(ENTRY + layout.MPD, BODIES[layout.MPD], "fr"), wanted, "fr")


def test_a_flip_is_played_three_times_from_its_own_instant() -> None:
    """A clock that starts later plays what is still to come, and nothing of long ago; "not yet" is not played."""
    ref = released(1)
    assert ref.flipped_at
    at = [turn.at - ref.flipped_at for turn in turns(ref, ref.flipped_at + timedelta(seconds=1))]
    assert at == [timedelta(), timedelta(minutes=1), timedelta(minutes=5)]
    assert len(turns(ref, ref.flipped_at + timedelta(minutes=2))) == 1
    assert turns(ref, ref.flipped_at + timedelta(hours=1)) == ()
    assert turns(NOT_YET, None) == ()

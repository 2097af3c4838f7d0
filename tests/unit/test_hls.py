"""The multivariant playlist says exactly what the tracks are, and nothing a title could make of it."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from pipelines.lint.reader import read
from pipelines.manifests.chapters import chapters
from pipelines.manifests.hls import multivariant
from pipelines.playlist import media_playlist
from pipelines.policy import Mark
from pipelines.rates import average, peak
from pipelines.track import AudioTrack, TextTrack, VideoTrack
from tests.fakes.pages import POLICY, SPRITES, TRACKS, rung, sound

GOLDEN = Path(__file__).parent.parent / "golden"


def parsed(text: str) -> m3u8.M3U8:
    return m3u8.loads(text, uri="https://edge/v/aversion/main.m3u8")


def test_three_languages_as_a_whole() -> None:
    """The playlist of the hand-written episode, compared whole."""
    assert multivariant(TRACKS, POLICY) == (GOLDEN / "main.m3u8").read_text(encoding="utf-8")


def test_chapters_as_a_whole() -> None:
    """Marks in order, in seconds with three decimals."""
    late_first = replace(POLICY, marks=tuple(reversed(POLICY.marks)))
    assert chapters(late_first) == (GOLDEN / "chapters.json").read_text(encoding="utf-8")


def test_another_reader_sees_the_same() -> None:
    """A library that is not ours finds every rung with every group, and URLs that lead to the tracks."""
    playlist = parsed(multivariant(TRACKS, POLICY))
    assert playlist.is_variant
    assert playlist.is_independent_segments
    seen = [
        (variant.stream_info.resolution, variant.stream_info.audio, variant.absolute_uri.rpartition("/t/")[2])
        for variant in playlist.playlists
    ]
    assert sorted(seen, key=str) == [
        ((1920, 1080), "aac-2", "v1080/media.m3u8"),
        ((1920, 1080), "aac-6", "v1080/media.m3u8"),
        ((416, 234), "aac-2", "v234/media.m3u8"),
        ((416, 234), "aac-6", "v234/media.m3u8"),
        ((960, 540), "aac-2", "v540/media.m3u8"),
        ((960, 540), "aac-6", "v540/media.m3u8"),
        (None, "aac-2", "a2pt-broriginal/media.m3u8"),
    ]
    assert [each.uri for each in playlist.iframe_playlists] == [f"../../t/v{h}/iframes.m3u8" for h in (234, 540, 1080)]


def test_players_start_near_two_megabits() -> None:
    """The first variant is the one with stereo nearest to 2 Mb/s; the others ascend."""
    first, *others = [variant.stream_info.bandwidth for variant in parsed(multivariant(TRACKS, POLICY)).playlists]
    assert first == 2_528_000
    assert others == sorted(others)


@pytest.mark.parametrize(
    ("sounds", "language", "expected"),
    [
        ([("en", "description"), ("en", "original"), ("fr", "dub")], "en", ("en", "English")),
        ([("en", "description"), ("fr", "dub")], "en", ("fr", "Français")),
        ([("en", "original"), ("fr", "dub")], "fr", ("fr", "Français")),
        ([("fr", "dub"), ("ar", "original")], "en", ("ar", "العربية")),
    ],
)
def test_the_default_is_never_a_description(
    sounds: list[tuple[str, str]], language: str, expected: tuple[str, str]
) -> None:
    """One DEFAULT in a group: the original in the default language, or the nearest to it that all can follow."""
    tracks = [rung(234, 145_000, "avc1.4d400d"), *(sound(tag, role, 2) for tag, role in sounds)]
    playlist = parsed(multivariant(tracks, replace(POLICY, default_language=language)))
    assert [(each.language, each.name) for each in playlist.media if each.default == "YES"] == [expected]


def test_names_differ_within_a_group() -> None:
    """Two sounds of a language that would be called the same say what they are."""
    tracks = [rung(234, 145_000, "avc1.4d400d"), sound("en", "original", 2), sound("en", "dub", 2)]
    playlist = parsed(multivariant(tracks, replace(POLICY, default_language="en")))
    assert [(each.name, each.autoselect) for each in playlist.media] == [
        ("English [en original]", "YES"),
        ("English [en dub]", "NO"),
    ]


@pytest.mark.parametrize(
    "title", ['a"b', "a\nb\r#EXT-X-ENDLIST", 'x",URI="http://evil/', "nul\0\x85\u2028end", "L'été, à 5 %"]
)
def test_a_title_can_not_break_out(title: str) -> None:
    """Quotes and line ends in a title change the title alone."""
    text = multivariant(TRACKS, replace(POLICY, title=title))
    tags, plain = read(text), read(multivariant(TRACKS, POLICY))
    titles = [tag for tag in tags if tag.attributes.get("DATA-ID") == "com.apple.hls.title"]
    assert [set(tag.attributes) for tag in titles] == [{"DATA-ID", "VALUE"}]
    assert [tag for tag in tags if tag not in titles] == [tag for tag in plain if tag.line != titles[0].line]


def test_an_episode_without_text_or_sprites_names_none() -> None:
    """What is not there is not named, nor a group for it."""
    text = multivariant([track for track in TRACKS if isinstance(track, VideoTrack | AudioTrack)], POLICY)
    assert "SUBTITLES" not in text
    assert "thumbnails" not in text


def test_a_last_short_segment_is_no_peak() -> None:
    """RFC 8216 counts sets of segments of 0.5 to 1.5 target durations: 0.04 s of one I-frame is not one."""
    assert peak([(Fraction(6), 6000), (Fraction(6), 9000), (Fraction(1, 25), 5000)], 6) == 18_544
    assert peak([(Fraction(1), 1000)], 6) == 8000
    heavy_end = [(Fraction(6), 6000), (Fraction(1, 10), 50_000)]
    assert peak(heavy_end, 4) == average(heavy_end) == 73_443
    assert average([(Fraction(6), 6000), (Fraction(6), 9000)]) == 10_000


def test_a_media_playlist_holds_every_segment() -> None:
    """Exact durations, the init segment, VOD and its end."""
    entries = [(Fraction(6006, 1000), "00001.m4s"), (Fraction(1, 3), "00002.m4s")]
    assert media_playlist(entries, 6, "init.mp4").split("\n")[2:] == [
        "#EXT-X-TARGETDURATION:6",
        "#EXT-X-MEDIA-SEQUENCE:1",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
        "#EXTINF:6.006000,",
        "00001.m4s",
        "#EXTINF:0.333333,",
        "00002.m4s",
        "#EXT-X-ENDLIST",
        "",
    ]


def test_tracks_in_another_order_are_the_same_offers() -> None:
    """The order of tracks decides in which order renditions stand, never which there are."""
    lines = multivariant(TRACKS, POLICY).split("\n")
    assert sorted(multivariant(TRACKS[::-1], POLICY).split("\n")) == sorted(lines)


def test_chapters_end_where_the_next_begins_only_if_said() -> None:
    """A mark without an end has none."""
    assert '"end": null' in chapters(
        replace(POLICY, marks=(Mark(kind="ad-break", start=Fraction(1), end=None, title=""),))
    )


def test_the_hand_written_tracks_hold_every_kind() -> None:
    """So that the golden files do."""
    assert {type(track) for track in TRACKS} == {VideoTrack, AudioTrack, TextTrack, type(SPRITES)}

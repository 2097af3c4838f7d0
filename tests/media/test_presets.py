"""
Every preset of the library, by the rules: what it makes of an episode is measured by others' tools, and by sums of
this file's own.

That the product's own lint is content is checked too, but proves nothing by itself: it and the manifests could share a
mistake.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path

import m3u8
import pytest

from presets import catalogue
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.readers import DASH, named
from tests.media.published import ENTRY, RATE, SECONDS, SURROUND, Measured, Published, average, boxes, peak, published
from tests.media.published import track as prefix_of

STRICT = Path(__file__).parent.parent / "players/strict.mjs"
#: Of what is measured: what promises may be off by (Apple's authoring specification).
TOLERANCE = 0.1
#: Seconds: what a playlist's microseconds round away, per segment.
ROUNDING = 1e-6
AAC_FRAME = Fraction(1024, 48_000)
CUE = re.compile(r"^([\d:.]{12}) --> ([\d:.]{12})[^\n]*\n(.*)$", re.MULTILINE)

# An episode per preset, with every rung up to 1080p.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=catalogue.names())
def made(
    request: pytest.FixtureRequest, store_service: StoreService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    preset = catalogue.load(request.param)
    with published(preset, store_service, tmp_path_factory.mktemp(preset.name)) as episode:
        yield episode


def close(promised: object, measured: Fraction) -> bool:
    """Within Apple's tolerance."""
    return int(str(promised)) == pytest.approx(float(measured), rel=TOLERANCE)


def pictures(made: Published) -> dict[str, Measured]:
    return {prefix: track for prefix, track in made.tracks.items() if "width" in track.stream}


def sounds(made: Published) -> dict[str, Measured]:
    return {prefix: track for prefix, track in made.tracks.items() if "width" not in track.stream}


def test_the_product_verifies_what_it_made(made: Published) -> None:
    """Every object as its inventory says, every manifest by every rule of our own."""
    spine.verify(made.avant.settings)


def test_nothing_of_the_preset_is_left_out(made: Published) -> None:
    """Every rung, and every layout of the language that has it; the dubs have stereo alone."""
    heights = sorted(int(track.stream["height"]) for track in pictures(made).values())
    assert heights == sorted(rung.height for rung in made.preset.video.rungs)
    layouts = [variant.layout for variant in made.preset.audio.variants]
    channels = sorted(int(track.stream["channels"]) for track in sounds(made).values())
    assert channels.count(6) == layouts.count(SURROUND)
    assert channels.count(2) == 3 * layouts.count("stereo")


def test_hls_parser_finds_no_fault(made: Published) -> None:
    """Multivariant, media and I-frame playlists alike, in its strict mode."""
    if not shutil.which("node") or not (STRICT.parent / "node_modules/hls-parser").is_dir():
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("not installed: hls-parser (scripts/setup --players)")
    ran = subprocess.run(
        ["node", str(STRICT)], input=json.dumps(made.playlists), capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == dict.fromkeys(made.playlists, "")
    kinds = {key.rpartition("/")[2] for key in made.playlists}
    assert kinds == {"main.m3u8", "media.m3u8", "iframes.m3u8"}


def test_every_address_leads_somewhere(made: Published) -> None:
    """From both entry points down to the last segment; every range of bytes is within its segment."""
    ahead, reached = {ENTRY + "main.m3u8", ENTRY + "main.mpd"}, set[str]()
    while ahead:
        key = ahead.pop()
        assert key in made.objects
        reached.add(key)
        ahead |= named(key, made.objects[key]) - reached
    assert {key for key in made.objects if key.endswith((".m4s", ".mp4", "media.m3u8", "iframes.m3u8"))} <= reached


def test_variants_are_what_their_tracks_measure(made: Published) -> None:
    """Rates within a tenth of the heaviest combination; codecs, size and frame rate as ffprobe and the boxes say."""
    for variant in made.multivariant.playlists:
        info, prefix = variant.stream_info, prefix_of(variant.uri)
        group = [made.tracks[prefix_of(each.uri)] for each in variant.media if each.type == "AUDIO"]
        picture = pictures(made).get(prefix)
        target = made.media(variant.uri).target_duration
        seen = [picture] if picture else []
        heaviest = sum(peak(one.pieces, target) for one in seen) + max(peak(one.pieces, target) for one in group)
        assert close(info.bandwidth, heaviest), variant.uri
        usual = sum(average(one.pieces) for one in seen) + max(average(one.pieces) for one in group)
        assert close(info.average_bandwidth, usual), variant.uri
        assert info.average_bandwidth <= info.bandwidth
        assert set(info.codecs.split(",")) == {one.codecs for one in (*seen, *group)}
        if picture:
            assert info.resolution == (picture.stream["width"], picture.stream["height"])
            assert Fraction(picture.stream["r_frame_rate"]) == RATE
            assert info.frame_rate == RATE
            assert info.video_range == "SDR"


def test_sounds_are_what_they_say(made: Published) -> None:
    """Every group has every language; CHANNELS are those of the track behind it."""
    members = [each for each in made.multivariant.media if each.type == "AUDIO"]
    groups = {each.group_id for each in members}
    assert len(groups) == len(made.preset.audio.variants)
    for group in groups:
        assert [each.language for each in members if each.group_id == group] == ["en", "fr", "de"]
    assert [int(each.channels) for each in members] == [
        int(made.tracks[prefix_of(each.uri)].stream["channels"]) for each in members
    ]


def test_key_frames_can_be_fetched_alone(made: Published) -> None:
    """Each range of an I-frame playlist begins a fragment; together they take what the multivariant playlist says."""
    for entry in made.multivariant.iframe_playlists:
        info, playlist = entry.iframe_stream_info, made.media(entry.uri)
        measured = pictures(made)[prefix_of(entry.uri)]
        assert playlist.is_i_frames_only
        pieces = []
        for each in playlist.segments:
            length, start = map(int, each.byterange.split("@"))
            body = made.objects[prefix_of(entry.uri) + each.uri]
            assert start + length <= len(body)
            assert body[start + 4 : start + 8] == b"moof"
            pieces.append((Fraction(each.duration).limit_denominator(10**6), length))
        keys = [packet for packets in measured.segments for packet in packets if packet.key]
        assert len(pieces) == len(keys)
        assert float(sum(seconds for seconds, _ in pieces)) == pytest.approx(SECONDS, abs=ROUNDING * len(pieces))
        assert close(info.average_bandwidth, average(pieces))
        assert close(info.bandwidth, peak(pieces, playlist.target_duration))
        assert info.average_bandwidth <= info.bandwidth
        assert (info.codecs, *info.resolution) == (
            measured.codecs,
            measured.stream["width"],
            measured.stream["height"],
        )


def test_segments_last_as_long_as_playlists_say(made: Published) -> None:
    """To the microsecond; no longer than the target; all tracks the same target, and the same number of segments."""
    counts, targets = set(), set()
    for prefix, measured in made.tracks.items():
        playlist = m3u8.loads(made.playlists[prefix + "media.m3u8"])
        said = [each.duration for each in playlist.segments]
        assert said == pytest.approx([float(each) for each in measured.durations], abs=ROUNDING), prefix
        assert max(map(round, said)) <= playlist.target_duration
        counts.add(len(said))
        targets.add(playlist.target_duration)
    assert counts == {ceil(SECONDS / max(float(length) for length in next(iter(pictures(made).values())).durations))}
    assert len(targets) == 1


def test_rungs_are_cut_at_the_same_frames(made: Published) -> None:
    """Every segment of every rung begins with a key frame, at the same instant; together they are the programme."""
    first, *others = pictures(made).values()
    assert [other.starts for other in others] == [first.starts] * len(others)
    for measured in (first, *others):
        assert all(packets[0].key for packets in measured.segments)
        assert sum(map(len, measured.segments)) == SECONDS * RATE
        assert sum(measured.durations) == SECONDS
        assert [start - measured.starts[0] for start in measured.starts] == [
            sum(measured.durations[:n]) for n in range(len(measured.durations))
        ]


def test_sound_is_cut_where_the_picture_is(made: Published) -> None:
    """To the nearest AAC frame, from the same beginning to the same end."""
    picture = next(iter(pictures(made).values()))
    cuts = [start - picture.starts[0] for start in picture.starts]
    for prefix, measured in sounds(made).items():
        heard = [start - measured.starts[0] for start in measured.starts]
        assert all(abs(a - b) <= AAC_FRAME / 2 for a, b in zip(heard, cuts, strict=True)), prefix
        assert abs(sum(measured.durations) - SECONDS) <= AAC_FRAME, prefix


def test_fragments_are_marked_and_timed(made: Published) -> None:
    """A media segment begins with `styp` and holds whole fragments; an init segment holds no media."""
    for key, body in made.objects.items():
        names = [name for name, _ in boxes(body)] if key.endswith((".m4s", "init.mp4")) else []
        if key.endswith(".m4s"):
            assert names[0] == "styp", key
            assert {"moof", "mdat"} <= set(names), key
            assert names.count("moof") == names.count("mdat"), key
        elif names:
            assert names[:1] == ["ftyp"], key
            assert "moov" in names, key
            assert "mdat" not in names, key


def test_text_is_whole_in_segments_of_the_picture(made: Published) -> None:
    """As many segments as pictures have, each WebVTT with its clock at nought, holding the cues that show in it."""
    count = len(next(iter(pictures(made).values())).segments)
    for each in (each for each in made.multivariant.media if each.type == "SUBTITLES"):
        prefix, playlist = prefix_of(each.uri), made.media(each.uri)
        assert len(playlist.segments) == count
        assert sum(segment.duration for segment in playlist.segments) == pytest.approx(SECONDS, abs=ROUNDING * count)
        told, start = set[tuple[str, str, str]](), 0.0
        for segment in playlist.segments:
            body = made.objects[prefix + segment.uri].decode()
            assert body.startswith("WEBVTT\nX-TIMESTAMP-MAP="), each.uri
            assert "MPEGTS:0" in body.split("\n")[1]
            cues = CUE.findall(body)
            assert all(clock(b) > start and clock(a) < start + segment.duration for a, b, _ in cues)
            told |= set(cues)
            start += segment.duration
        assert told == set(CUE.findall(made.objects[prefix + "all.vtt"].decode()))
        assert len(told) == SECONDS // 2


def clock(text: str) -> float:
    """Seconds."""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_the_mpd_says_what_the_segments_measure(made: Published) -> None:
    """The same tracks as HLS, with their own timelines, codecs and peaks."""
    assert made.mpd.get("mediaPresentationDuration") == f"PT{SECONDS}S"
    found = set()
    for adaptation in made.mpd.iter(f"{DASH}AdaptationSet"):
        for representation in adaptation.iter(f"{DASH}Representation"):
            prefix = f"t/{representation.get('id')}/"
            found.add(prefix)
            if prefix not in made.tracks:
                continue
            measured = made.tracks[prefix]
            target = m3u8.loads(made.playlists[prefix + "media.m3u8"]).target_duration
            assert close(representation.get("bandwidth"), peak(measured.pieces, target)), prefix
            assert representation.get("codecs") == measured.codecs
            scale = int(next(representation.iter(f"{DASH}SegmentTemplate")).get("timescale", "1"))
            lengths = [
                Fraction(int(run.get("d", "0")), scale)
                for run in representation.iter(f"{DASH}S")
                for _ in range(1 + int(run.get("r", "0")))
            ]
            assert lengths == measured.durations, prefix
    assert set(made.tracks) <= found

"""A sound version is found sound, and every rule catches the fault that it is there for."""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from pipelines.lint import dash, hls
from pipelines.lint.dash import lint_dash
from pipelines.lint.finding import Finding, rule_name
from pipelines.lint.hls import lint_hls
from pipelines.lint.reader import UnreadableError, read
from tests.fakes.pages import CADENCE, DASH, HLS, POLICY, TRACKS, World, rung, sound, world

Plant = Callable[[World], None]

LOW = "t/v234/media.m3u8"
DUB = "t/a2endub/media.m3u8"
KEYS = "t/v540/iframes.m3u8"


def broken(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def change(key: str, old: str, new: str) -> Plant:
    return lambda made: made.change(key, old, new)


def lose(key: str) -> Plant:
    def plant(made: World) -> None:
        made.sizes.pop(key)
        made.texts.pop(key, None)

    return plant


def grow(key: str, times: int) -> Plant:
    return lambda made: made.sizes.update({key: made.sizes[key] * times})


def _once(made: World, text: str) -> None:
    """Spoil the first line that says `text`."""
    made.write(HLS, made.texts[HLS].replace(text, 'LANGUAGE="fr",NAME="Français"' if "LANG" in text else "", 1))


def _uneven(made: World) -> None:
    """A rung whose second segment begins a frame later."""
    odd = rung(540, 1_600_000, "avc1.64001f")
    lengths = [73728 + 512, 73728 - 512, *(segment.duration for segment in odd.segments[2:])]
    segments = tuple(replace(s, duration=d) for s, d in zip(odd.segments, lengths, strict=True))
    tracks = [replace(odd, segments=segments) if track.digest == odd.digest else track for track in TRACKS]
    other = world(tracks)
    made.texts, made.sizes = other.texts, other.sizes


def _without_starts(made: World) -> None:
    made.write(KEYS, re.sub(r"@[0-9]+", "", made.texts[KEYS]))


def _without_last_iframes(made: World) -> None:
    lines = made.texts[HLS].rstrip("\n").split("\n")
    made.write(HLS, "\n".join([*lines[:-1], ""]))


def _role_first(made: World) -> None:
    swapped = re.sub(r"(<Label>.*?</Label>)(\s*)(<Role [^>]*>)", r"\3\2\1", made.texts[DASH])
    assert swapped != made.texts[DASH]
    made.write(DASH, swapped)


def _without_main_sound(made: World) -> None:
    before, sounds = made.texts[DASH].split('contentType="audio"', 1)
    made.write(DASH, before + 'contentType="audio"' + sounds.replace('value="main"', 'value="alternate"'))


HLS_FAULTS: list[tuple[str, str, Plant]] = [
    ("no header", "parses", change(HLS, "#EXTM3U\n", "")),
    ("a value without quotes", "parses", change(HLS, 'NAME="English"', "NAME=The English")),
    ("an attribute twice", "parses", change(HLS, "VIDEO-RANGE=SDR", "VIDEO-RANGE=SDR,VIDEO-RANGE=SDR")),
    ("a variant without its URI", "parses", change(HLS, "\n../../t/v234/media.m3u8", "")),
    ("a media playlist that is cut", "parses", change(LOW, "00005.m4s\n#EXT-X-ENDLIST\n", "")),
    ("a media playlist without a target", "parses", change(LOW, "#EXT-X-TARGETDURATION:6\n", "")),
    ("a playlist is missing", "reachable", lose("t/tensubtitles/media.m3u8")),
    ("a segment is missing", "reachable", lose("t/v540/00003.m4s")),
    ("an init segment is missing", "reachable", lose("t/a2ardub/init.mp4")),
    ("a sprite is missing", "thumbnails-reachable", lose("t/sprites/00001.jpg")),
    ("the sprites' index is missing", "thumbnails-reachable", lose("t/sprites/index.vtt")),
    ("dependent segments", "independent-segments", change(HLS, "#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
    ("no codecs", "variant-attributes", change(HLS, 'CODECS="mp4a.40.2",', "")),
    ("no frame rate", "variant-attributes", change(HLS, "FRAME-RATE=25.000,", "")),
    ("no average", "variant-attributes", change(HLS, "AVERAGE-BANDWIDTH=320000,", "")),
    ("no language", "rendition-attributes", change(HLS, 'LANGUAGE="ar",', "")),
    ("no channels", "rendition-attributes", change(HLS, 'CHANNELS="6",', "")),
    ("a frame rate of no decimals", "variant-values", change(HLS, "FRAME-RATE=25.000", "FRAME-RATE=25")),
    ("a hundred frames a second", "variant-values", change(HLS, "FRAME-RATE=25.000", "FRAME-RATE=100.000")),
    ("a size in one number", "variant-values", change(HLS, "RESOLUTION=416x234", "RESOLUTION=234p")),
    ("a codec by its name", "variant-values", change(HLS, "mp4a.40.2", "aac")),
    ("no such range of brightness", "variant-values", change(HLS, "VIDEO-RANGE=SDR", "VIDEO-RANGE=HDR")),
    ("two ranges of brightness", "variant-values", change(HLS, "25.000,VIDEO-RANGE=SDR", "25.000,VIDEO-RANGE=PQ")),
    (
        "a score of one variant only",
        "scores-agree",
        change(HLS, "INF:BANDWIDTH=128000", "INF:SCORE=2,BANDWIDTH=128000"),
    ),
    ("a language by its name", "languages-are-tags", change(HLS, 'LANGUAGE="ar"', 'LANGUAGE="Arabic language"')),
    ("a channel count by its name", "channels-are-counted", change(HLS, 'CHANNELS="6"', 'CHANNELS="5.1"')),
    ("no stereo", "stereo-is-there", change(HLS, 'CHANNELS="2"', 'CHANNELS="6"')),
    ("a default that is not chosen", "default-is-chosen", change(HLS, "YES,AUTOSELECT=YES", "YES,AUTOSELECT=NO")),
    ("two texts that are alike", "chosen-differ", change(HLS, "FORCED=YES", "FORCED=NO")),
    ("forced text in hiding", "forced-is-chosen", change(HLS, "AUTOSELECT=YES,FORCED=YES", "AUTOSELECT=NO,FORCED=YES")),
    (
        "forced text by default",
        "forced-is-chosen",
        change(HLS, "DEFAULT=NO,AUTOSELECT=YES,FORCED=YES", "DEFAULT=YES,AUTOSELECT=YES,FORCED=YES"),
    ),
    ("forced sound", "forced-is-chosen", change(HLS, 'CHANNELS="6"', 'FORCED=YES,CHANNELS="6"')),
    ("a variant without text", "same-texts", lambda made: _once(made, ',SUBTITLES="subs"')),
    ("no variant with text", "same-texts", change(HLS, ',SUBTITLES="subs"', "")),
    ("captions of one variant only", "captions-agree", lambda made: _once(made, ",CLOSED-CAPTIONS=NONE")),
    ("one name twice", "names-differ", change(HLS, 'NAME="العربية"', 'NAME="English"')),
    ("no default", "one-default", change(HLS, "DEFAULT=YES", "DEFAULT=NO")),
    ("all are default", "one-default", change(HLS, "DEFAULT=NO", "DEFAULT=YES")),
    ("a description by default", "description-is-chosen", change(HLS, 'AD",DEFAULT=NO', 'AD",DEFAULT=YES')),
    ("a description in hiding", "description-is-chosen", change(HLS, "AUTOSELECT=YES,CHAR", "AUTOSELECT=NO,CHAR")),
    ("a member in one group only", "same-members", lambda made: _once(made, 'LANGUAGE="ar",NAME="العربية"')),
    ("a group that is not there", "groups-exist", change(HLS, 'SUBTITLES="subs"', 'SUBTITLES="text"')),
    ("a playlist without its end", "vod", change(LOW, "#EXT-X-ENDLIST\n", "")),
    ("a playlist that may grow", "vod", change(DUB, "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-PLAYLIST-TYPE:EVENT")),
    ("no init segment", "init-segments", change(LOW, '#EXT-X-MAP:URI="init.mp4"\n', "")),
    ("another target for sound", "same-target", change(DUB, "DURATION:6", "DURATION:7")),
    ("a target too low", "segments-within-target", change(LOW, "DURATION:6", "DURATION:5")),
    ("key frames further apart than the target", "segments-within-target", change(KEYS, "DURATION:6", "DURATION:1")),
    ("sound that stops early", "same-duration", change(DUB, "#EXTINF:0.960000,\n00005.m4s\n", "")),
    ("sound two AAC frames short", "same-duration", change(DUB, "0.960000", "0.917333")),
    ("text that stops early", "same-duration", change("t/tensubtitles/media.m3u8", "0.960000", "0.500000")),
    ("rungs cut elsewhere", "aligned-pictures", _uneven),
    ("a rung of fewer segments", "aligned-pictures", change(LOW, "#EXTINF:0.960000,\n00005.m4s\n", "")),
    ("bandwidth too low", "bandwidth-measured", change(HLS, "BANDWIDTH=345500", "BANDWIDTH=300000")),
    ("bandwidth too high", "bandwidth-measured", change(HLS, "BANDWIDTH=128000", "BANDWIDTH=150000")),
    ("a segment of twice the size", "bandwidth-measured", grow("t/v540/00002.m4s", 2)),
    (
        "average too low",
        "average-bandwidth-measured",
        change(HLS, "AVERAGE-BANDWIDTH=290400", "AVERAGE-BANDWIDTH=250000"),
    ),
    ("an average above the peak", "average-below-peak", change(HLS, "INF:BANDWIDTH=36250", "INF:BANDWIDTH=28999")),
    ("nothing for slow networks", "least-variant", change(HLS, "INF:BANDWIDTH=128000", "INF:BANDWIDTH=192001")),
    ("a size without I-frames", "iframe-playlists", _without_last_iframes),
    ("I-frames that are not", "iframe-playlists", change(KEYS, "#EXT-X-I-FRAMES-ONLY\n", "")),
    ("an I-frame peak too low", "iframe-bandwidth-measured", change(HLS, "INF:BANDWIDTH=36250", "INF:BANDWIDTH=31000")),
    ("an I-frame average too high", "iframe-bandwidth-measured", change(HLS, "BANDWIDTH=29000", "BANDWIDTH=33000")),
    ("a segment that is cut off", "ranges-fit", lambda made: made.sizes.update({"t/v540/00004.m4s": 999})),
    ("a range without its start", "parses", _without_starts),
    ("too old a version", "versions", change(HLS, "VERSION:7", "VERSION:6")),
    ("no version", "versions", change(LOW, "#EXT-X-VERSION:7\n", "")),
    ("two versions", "versions", change(LOW, "#EXT-X-VERSION:7\n", "#EXT-X-VERSION:7\n#EXT-X-VERSION:7\n")),
    ("few key frames", "key-frames-often", change(KEYS, "1.920000", "2.080000")),
    (
        "a peak far above the average",
        "peak-to-average",
        change(HLS, "AVERAGE-BANDWIDTH=290400", "AVERAGE-BANDWIDTH=170000"),
    ),
]

DASH_FAULTS: list[tuple[str, str, Plant]] = [
    ("not XML", "parses", change(DASH, "</MPD>", "")),
    ("no duration", "parses", change(DASH, 'mediaPresentationDuration="PT24S"', "")),
    ("another namespace", "parses", change(DASH, "urn:mpeg:dash:schema:mpd:2011", "urn:other")),
    ("a segment without length", "parses", change(DASH, ' d="12288"', "")),
    ("endless segments", "parses", change(DASH, 'r="3"', 'r="300000000"')),
    ("a segment is missing", "reachable", lose("t/v540/00003.m4s")),
    ("an init segment is missing", "reachable", lose("t/a2ardub/init.mp4")),
    ("a text is missing", "reachable", lose("t/tarsubtitles/all.vtt")),
    ("a sprite is missing", "reachable", lose("t/sprites/00001.jpg")),
    ("a role before its label", "elements-in-order", _role_first),
    ("an element of another place", "elements-in-order", change(DASH, "<Title>", "<Period/><Title>")),
    (
        "an element that nobody knows",
        "elements-in-order",
        change(DASH, "<SegmentTimeline>", "<Timeline/><SegmentTimeline>"),
    ),
    ("a misspelt attribute", "attributes-known", change(DASH, "minBufferTime=", "minBuffertime=")),
    ("a presentation that may grow", "presentation-attributes", change(DASH, 'type="static"', 'type="dynamic"')),
    ("no profile", "presentation-attributes", change(DASH, "profiles=", "data-profiles=")),
    ("no codecs", "representation-attributes", change(DASH, ' codecs="mp4a.40.2"', "")),
    ("no language", "representation-attributes", change(DASH, ' lang="ar"', "")),
    ("another media type", "representation-attributes", change(DASH, 'mimeType="text/vtt"', 'mimeType="text/plain"')),
    ("a language by its name", "languages-are-tags", change(DASH, 'lang="ar"', 'lang="Arabic language"')),
    ("cuts that may not match", "switchable", change(DASH, 'segmentAlignment="true"', 'segmentAlignment="false"')),
    ("segments that begin anywhere", "switchable", change(DASH, ' startWithSAP="1"', "")),
    ("a picture larger than its set", "switchable", change(DASH, 'maxHeight="1080"', 'maxHeight="720"')),
    ("one representation's id twice", "ids-differ", change(DASH, 'id="v540"', 'id="v234"')),
    ("one set's id twice", "ids-differ", change(DASH, 'id="11"', 'id="10"')),
    ("a timeline that stops early", "timelines-sum", change(DASH, '<S d="46080"/>', "")),
    ("a timeline with a hole", "timelines-sum", change(DASH, '<S d="12288"/>', '<S t="294913" d="12287"/>')),
    ("rungs cut elsewhere", "aligned-pictures", _uneven),
    ("bandwidth too low", "bandwidth-measured", change(DASH, 'bandwidth="2400000"', 'bandwidth="2100000"')),
    ("no main sound", "one-main-sound", _without_main_sound),
    ("two main languages", "one-main-sound", change(DASH, 'value="dub"', 'value="main"')),
    ("a text without role", "roles-and-channels", change(DASH, '2011" value="subtitle"', '2012" value="subtitle"')),
    ("a sound without channels", "roles-and-channels", change(DASH, "AudioChannelConfiguration", "AudioChannels")),
    ("sprites of no whole tiles", "sprites-are-tiled", change(DASH, 'value="10x10"', 'value="10x7"')),
]


def test_the_hand_written_version_keeps_every_rule() -> None:
    """Nothing is found, not even a warning, in what the pure functions render."""
    made = world()
    assert lint_hls(HLS, made.shelf) + lint_dash(DASH, made.shelf) == []


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(50)])
def test_sound_cut_at_the_nearest_aac_frame_is_sound(rate: Fraction) -> None:
    """Segments that can't be cut at the same instants, and a programme that no frame ends, break no rule."""
    segment = round(6 * rate)
    cadence = replace(CADENCE, frame_rate=rate, segment=segment)
    frames = 4 * segment + 17
    ends = [min(n * segment, frames) / rate for n in range(6)]
    cuts = [round(end * 48_000 / 1024) * 1024 for end in ends]
    scale = rate.numerator * 100
    ticks = [int(end * scale) for end in ends]
    low, voice = rung(234, 145_000, "avc1.4d400d"), sound("pt-BR", "original", 2)
    tracks = [
        replace(low, frame_rate=rate, timescale=scale, segments=_cut(low.segments, ticks)),
        replace(voice, segments=_cut(voice.segments, cuts)),
    ]
    made = world(tracks, replace(POLICY, cadence=cadence, frames=frames))
    assert lint_hls(HLS, made.shelf) + lint_dash(DASH, made.shelf) == []


def _cut(segments, ends):  # noqa: ANN001, ANN202 - of either track
    return tuple(replace(s, duration=b - a) for s, a, b in zip(segments, ends[:-1], ends[1:], strict=True))


@pytest.mark.parametrize(("rule", "plant"), [pytest.param(rule, plant, id=name) for name, rule, plant in HLS_FAULTS])
def test_hls_faults_are_caught(rule: str, plant: Plant) -> None:
    """The rule that is there for a fault finds it."""
    made = world()
    plant(made)
    assert rule in broken(lint_hls(HLS, made.shelf))


@pytest.mark.parametrize(("rule", "plant"), [pytest.param(rule, plant, id=name) for name, rule, plant in DASH_FAULTS])
def test_dash_faults_are_caught(rule: str, plant: Plant) -> None:
    """The rule that is there for a fault finds it."""
    made = world()
    plant(made)
    assert rule in broken(lint_dash(DASH, made.shelf))


def test_every_rule_has_a_fault_that_it_catches() -> None:
    """No rule is there that was never seen to say no."""
    assert {rule for _, rule, _ in HLS_FAULTS} == {"parses", *map(rule_name, (*hls.ERRORS, *hls.WARNINGS))}
    assert {rule for _, rule, _ in DASH_FAULTS} == {"parses", *map(rule_name, dash.ERRORS)}


def test_a_high_peak_only_warns() -> None:
    """Capped quality reaches peaks of several times the average; Apple advises against, and plays it."""
    made = world()
    made.change(HLS, "AVERAGE-BANDWIDTH=290400", "AVERAGE-BANDWIDTH=170000")
    findings = lint_hls(HLS, made.shelf)
    assert {f.severity for f in findings if f.rule == "peak-to-average"} == {"warning"}
    assert {f.severity for f in findings if f.rule != "peak-to-average"} == {"error"}


def test_a_finding_reads_as_a_sentence() -> None:
    """Where, what, and by which rule."""
    made = world()
    made.sizes.pop("t/v540/00003.m4s")
    (first, *_) = lint_dash(DASH, made.shelf)
    assert str(first) == (
        "v/aversion/main.mpd, representation v540: t/v540/00003.m4s is not in the store (1 in all). (reachable)"
    )


def test_comments_and_unknown_tags_are_no_fault() -> None:
    """RFC 8216, 3 and 6.3.1: readers pass over them."""
    tags = read("#EXTM3U\n## generation 3\n\n#EXT-X-SOMETHING:new\n#EXTINF:6,\n# between\n1.m4s\n")
    assert [(tag.name, tag.uri) for tag in tags] == [("EXTM3U", ""), ("EXT-X-SOMETHING", ""), ("EXTINF", "1.m4s")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 is not #EXTM3U"),
        ("#EXTM3U\n1.m4s\n", "line 2 is a URI that no tag announces"),
        ("#EXTM3U\n#EXTINF:6,\n", "line 2, #EXTINF, is not followed by a URI"),
        ('#EXTM3U\n#EXT-X-MAP:URI="a" b\n', 'line 2 has no attribute list at `URI="a" b`'),
        ("#EXTM3U\n#EXT-X-MEDIA:A=1,A=2\n", "line 2 has A twice"),
    ],
)
def test_the_grammar_is_kept(text: str, said: str) -> None:
    """What RFC 8216 does not allow is refused with its line."""
    with pytest.raises(UnreadableError, match=f"^{re.escape(said)}$"):
        read(text)

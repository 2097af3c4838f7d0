"""
The DASH presentation description (MPD), by ISO/IEC 23009-1 and DASH-IF's interoperability points.

It is rendered for a place two folders deep (`v/NAME/`, `e/EPISODE/`), from where tracks are `../../t/NAME/`. Each
representation carries its own timeline, so that what is written is what was stored.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from math import ceil

from lxml import etree

from pipelines import layout, rates
from pipelines.manifests.naming import default, names, of_kind, what
from pipelines.policy import Policy
from pipelines.track import AudioTrack, Segment, TextTrack, ThumbnailTrack, Track, VideoTrack, measured

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
ROLE = "urn:mpeg:dash:role:2011"
#: TV-Anytime's purposes: 1 is sound for the visually impaired, 2 text for the hard of hearing.
PURPOSE = "urn:tva:metadata:cs:AudioPurposeCS:2007"
#: Coding-independent code points: 2 is stereo, 6 is 5.1.
CHANNELS = "urn:mpeg:mpegB:cicp:ChannelConfiguration"
TILES = "http://dashif.org/guidelines/thumbnail_tile"

SOUND_ROLES = {"original": "alternate", "dub": "dub", "description": "description", "commentary": "commentary"}
TEXT_ROLES = {"subtitles": "subtitle", "sdh": "caption", "forced": "forced-subtitle"}

#: What XML can't hold at all, escaped or not.
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def mpd(tracks: Sequence[Track], policy: Policy) -> str:
    """The MPD that names the tracks. Pure: the same tracks and policy, the same text."""
    root = etree.Element(
        "MPD",
        {
            "xmlns": NAMESPACE,
            "profiles": PROFILE,
            "type": "static",
            "mediaPresentationDuration": iso_duration(policy.duration),
            # Bandwidths are peaks of whole segments: with one segment buffered, no player starves at that rate.
            "minBufferTime": iso_duration(policy.cadence.segment_seconds),
        },
    )
    _text(_add(root, "ProgramInformation"), "Title", policy.title)
    period = _add(root, "Period", id="0", start="PT0S")
    sounds = of_kind(tracks, AudioTrack)
    _video(period, of_kind(tracks, VideoTrack), policy)
    for alike in _alike(sounds):
        _audio(period, alike, names(sounds), policy, main=what(alike[0]) == default(sounds, policy.default_language))
    texts = of_kind(tracks, TextTrack)
    for text in texts:
        _subtitle(period, text, names(texts)[what(text)])
    for sprites in of_kind(tracks, ThumbnailTrack):
        _thumbnails(period, sprites)
    for number, adaptation in enumerate(period):
        adaptation.set("id", str(number))
    etree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root, encoding="unicode") + "\n"


def iso_duration(seconds: Fraction) -> str:
    """`PT1441.44S`: to the nanosecond, which no player tells from exact."""
    whole, rest = divmod(round(seconds * 10**9), 10**9)
    decimals = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"PT{whole}{decimals}S"


def _video(period: etree._Element, rungs: Sequence[VideoTrack], policy: Policy) -> None:
    """One switching set of all rungs."""
    largest = max(rungs, key=lambda rung: rung.width * rung.height)
    shape = Fraction(largest.width, largest.height)
    adaptation = _add(
        period,
        "AdaptationSet",
        contentType="video",
        mimeType="video/mp4",
        segmentAlignment="true",
        startWithSAP="1",
        par=f"{shape.numerator}:{shape.denominator}",
        maxWidth=str(largest.width),
        maxHeight=str(largest.height),
        maxFrameRate=str(max(rung.frame_rate for rung in rungs)),
    )
    _described(adaptation, "Role", ROLE, "main")
    for rung in rungs:
        representation = _add(
            adaptation,
            "Representation",
            id=_id(rung),
            bandwidth=str(_bandwidth(rung, policy)),
            codecs=rung.codecs,
            width=str(rung.width),
            height=str(rung.height),
            frameRate=str(rung.frame_rate),
            sar="1:1",
        )
        _timeline(representation, rung)


def _alike(sounds: Iterable[AudioTrack]) -> list[list[AudioTrack]]:
    """The sounds that differ in bitrate alone, together."""
    together: dict[tuple[str, str, int], list[AudioTrack]] = {}
    for sound in sounds:
        together.setdefault((*what(sound), sound.channels), []).append(sound)
    return list(together.values())


def _audio(
    period: etree._Element,
    alike: Sequence[AudioTrack],
    called: Mapping[tuple[str, str], str],
    policy: Policy,
    *,
    main: bool,
) -> None:
    first = alike[0]
    adaptation = _add(
        period,
        "AdaptationSet",
        contentType="audio",
        mimeType="audio/mp4",
        lang=first.language,
        segmentAlignment="true",
        startWithSAP="1",
    )
    _described(adaptation, "AudioChannelConfiguration", CHANNELS, str(first.channels))
    _text(adaptation, "Label", called[what(first)])
    if first.role == "description":
        _described(adaptation, "Accessibility", PURPOSE, "1")
    _described(adaptation, "Role", ROLE, "main" if main else SOUND_ROLES[first.role])
    for sound in alike:
        representation = _add(
            adaptation,
            "Representation",
            id=_id(sound),
            bandwidth=str(_bandwidth(sound, policy)),
            codecs=sound.codecs,
            audioSamplingRate=str(sound.sample_rate),
        )
        _timeline(representation, sound)


def _subtitle(period: etree._Element, text: TextTrack, name: str) -> None:
    """One whole file: dash.js can't load WebVTT in segments."""
    adaptation = _add(period, "AdaptationSet", contentType="text", mimeType="text/vtt", lang=text.language)
    _text(adaptation, "Label", name)
    if text.text_kind == "sdh":
        _described(adaptation, "Accessibility", PURPOSE, "2")
    _described(adaptation, "Role", ROLE, TEXT_ROLES[text.text_kind])
    bandwidth = max(1, ceil(8 * text.size / text.duration))
    representation = _add(adaptation, "Representation", id=_id(text), bandwidth=str(bandwidth))
    _text(representation, "BaseURL", layout.from_manifest(text.prefix, layout.WHOLE_TEXT))


def _thumbnails(period: etree._Element, sprites: ThumbnailTrack) -> None:
    """DASH-IF IOP 6.2.6: a segment is a sprite, and width and height are the sprite's, not the tile's."""
    seconds = sprites.interval * sprites.columns * sprites.rows
    adaptation = _add(period, "AdaptationSet", contentType="image", mimeType="image/jpeg")
    representation = _add(
        adaptation,
        "Representation",
        id=_id(sprites),
        bandwidth=str(ceil(8 * sprites.largest / seconds)),
        width=str(sprites.tile_width * sprites.columns),
        height=str(sprites.tile_height * sprites.rows),
    )
    _described(representation, "EssentialProperty", TILES, f"{sprites.columns}x{sprites.rows}")
    _add(
        representation,
        "SegmentTemplate",
        media=_template(sprites, ".jpg"),
        startNumber="1",
        duration=str(seconds.numerator),
        timescale=str(seconds.denominator),
    )


def _timeline(representation: etree._Element, track: VideoTrack | AudioTrack) -> None:
    template = _add(
        representation,
        "SegmentTemplate",
        initialization=layout.from_manifest(track.prefix, layout.INIT),
        media=_template(track, ".m4s"),
        startNumber="1",
        timescale=str(track.timescale),
    )
    timeline = _add(template, "SegmentTimeline")
    for number, (duration, count) in enumerate(_runs(track.segments)):
        start = {"t": "0"} if number == 0 else {}
        again = {"r": str(count - 1)} if count > 1 else {}
        _add(timeline, "S", **start, d=str(duration), **again)


def _runs(segments: Iterable[Segment]) -> list[tuple[int, int]]:
    """(ticks, how many) of neighbours that are equally long."""
    return [(ticks, len(list(run))) for ticks, run in groupby(segment.duration for segment in segments)]


def _template(track: Track, suffix: str) -> str:
    return layout.from_manifest(track.prefix, layout.SEGMENT_TEMPLATE + suffix)


def _id(track: Track) -> str:
    """The track's public name: unique, and the same in every version that has the track."""
    return track.prefix.strip("/").rpartition("/")[2]


def _bandwidth(track: VideoTrack | AudioTrack, policy: Policy) -> int:
    return rates.peak(measured(track), policy.cadence.target_duration)


def _add(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, name, attributes)


def _text(parent: etree._Element, name: str, text: str) -> None:
    _add(parent, name).text = _NOT_XML.sub(" ", text)


def _described(parent: etree._Element, name: str, scheme: str, value: str) -> None:
    _add(parent, name, schemeIdUri=scheme, value=value)

"""
The HLS multivariant playlist, by RFC 8216 and Apple's authoring specification.

It is rendered for a place two folders deep (`v/NAME/`, `e/EPISODE/`), from where tracks are `../../t/NAME/`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipelines import layout, rates
from pipelines.manifests.naming import default, names, of_kind, what
from pipelines.policy import Policy
from pipelines.track import AudioTrack, TextTrack, ThumbnailTrack, Track, VideoTrack, measured

#: Bits per second of the variant that players start with (Apple's authoring specification).
FIRST_VARIANT = 2_000_000
#: Whose VALUE is the URL of a WebVTT index of sprites.
THUMBNAILS = "org.avant.thumbnails"

#: C0 and C1 controls, and Unicode's own line ends.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

SUBTITLES = "subs"
DESCRIBES = "public.accessibility.describes-video"
TRANSCRIBES = "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """An audio group: every language in one codec and layout, or in the nearest that it has."""

    id: str
    members: tuple[AudioTrack, ...]
    #: Bits per second: the largest of any member.
    peak: int
    average: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variant:
    """An entry that a player picks."""

    bandwidth: int
    lines: tuple[str, ...]


def multivariant(tracks: Sequence[Track], policy: Policy) -> str:
    """The playlist that names the tracks. Pure: the same tracks and policy, the same text."""
    sounds, texts = of_kind(tracks, AudioTrack), of_kind(tracks, TextTrack)
    rungs = of_kind(tracks, VideoTrack)
    groups = _groups(sounds, policy)
    lines = [
        "#EXTM3U",
        # 7 is the first whose readers know CHANNELS and every other attribute used here.
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        _tag("SESSION-DATA", f'DATA-ID="com.apple.hls.title",VALUE={_quoted(policy.title)}'),
        *(_thumbnails(track) for track in of_kind(tracks, ThumbnailTrack)),
        *_audio(groups, policy),
        *_subtitles(texts),
    ]
    for variant in _ordered(rungs, groups, policy, subtitles=bool(texts)):
        lines += variant.lines
    return "\n".join([*lines, *(_iframes(rung) for rung in rungs), ""])


def _groups(sounds: Sequence[AudioTrack], policy: Policy) -> list[_Group]:
    """One group per codec and number of channels, fewest channels first."""
    kinds = sorted({(_family(sound), sound.channels) for sound in sounds}, key=lambda kind: (kind[1], kind[0]))
    return [_group(sounds, family, channels, policy) for family, channels in kinds]


def _group(sounds: Sequence[AudioTrack], family: str, channels: int, policy: Policy) -> _Group:
    """RFC 8216, 4.3.4.2.1: all groups have the same members, so a language without 5.1 is in it with its stereo."""
    by_kind: dict[tuple[str, str], list[AudioTrack]] = {}
    for sound in sounds:
        if _family(sound) == family:
            by_kind.setdefault(what(sound), []).append(sound)
    members = tuple(_nearest(choices, channels) for choices in by_kind.values())
    heard = [measured(member) for member in members]
    return _Group(
        id=f"{family}-{channels}",
        members=members,
        peak=max(rates.peak(pieces, policy.cadence.target_duration) for pieces in heard),
        average=max(rates.average(pieces) for pieces in heard),
    )


def _nearest(choices: Sequence[AudioTrack], channels: int) -> AudioTrack:
    """The one whose number of channels is nearest; of those, the one with the most bits."""
    return max(choices, key=lambda sound: (-abs(sound.channels - channels), rates.average(measured(sound))))


def _family(sound: AudioTrack) -> str:
    family = sound.codecs.partition(".")[0]
    return {"mp4a": "aac"}.get(family, family)


def _audio(groups: Sequence[_Group], policy: Policy) -> list[str]:
    return [line for group in groups for line in _members(group, policy)]


def _members(group: _Group, policy: Policy) -> list[str]:
    called, first = names(group.members), default(group.members, policy.default_language)
    heard = sorted(group.members, key=lambda sound: what(sound) != first)
    lines, selectable = [], set[tuple[str, bool]]()
    for sound in heard:
        described = sound.role == "description"
        # 4.3.4.1.1: what is selected without being asked for must differ in language or characteristics.
        automatic = sound.role != "commentary" and (sound.language, described) not in selectable
        selectable.add((sound.language, described))
        lines.append(
            _tag(
                "MEDIA",
                f'TYPE=AUDIO,GROUP-ID="{group.id}",LANGUAGE="{sound.language}",NAME={_quoted(called[what(sound)])},'
                f"DEFAULT={_yes(what(sound) == first)},AUTOSELECT={_yes(automatic)},"
                + (f'CHARACTERISTICS="{DESCRIBES}",' if described else "")
                + f'CHANNELS="{sound.channels}",URI="{_uri(sound, layout.MEDIA_PLAYLIST)}"',
            )
        )
    return lines


def _subtitles(texts: Sequence[TextTrack]) -> list[str]:
    """No text is DEFAULT: players show forced lines of themselves, and the rest when the viewer or system asks."""
    called = names(texts)
    return [
        _tag(
            "MEDIA",
            f'TYPE=SUBTITLES,GROUP-ID="{SUBTITLES}",LANGUAGE="{text.language}",NAME={_quoted(called[what(text)])},'
            f"DEFAULT=NO,AUTOSELECT=YES,FORCED={_yes(text.text_kind == 'forced')},"
            + (f'CHARACTERISTICS="{TRANSCRIBES}",' if text.text_kind == "sdh" else "")
            + f'URI="{_uri(text, layout.MEDIA_PLAYLIST)}"',
        )
        for text in texts
    ]


def _ordered(
    rungs: Sequence[VideoTrack], groups: Sequence[_Group], policy: Policy, *, subtitles: bool
) -> list[_Variant]:
    """Every rung with every audio group. Players start with the first, so it is the one nearest to 2 Mb/s."""
    stereo = [_variant(rung, groups[0], policy, subtitles=subtitles) for rung in rungs]
    others = [_variant(rung, group, policy, subtitles=subtitles) for group in groups[1:] for rung in rungs]
    first = min(stereo, key=lambda variant: abs(variant.bandwidth - FIRST_VARIANT))
    rest = [variant for variant in (*stereo, *others) if variant is not first]
    sound_only = _sound_only(groups[0], policy, subtitles=subtitles)
    return [first, *sorted([sound_only, *rest], key=lambda variant: variant.bandwidth)]


def _variant(rung: VideoTrack, group: _Group, policy: Policy, *, subtitles: bool) -> _Variant:
    pieces = measured(rung)
    bandwidth = rates.peak(pieces, policy.cadence.target_duration) + group.peak
    attributes = [
        f"BANDWIDTH={bandwidth}",
        f"AVERAGE-BANDWIDTH={rates.average(pieces) + group.average}",
        f'CODECS="{rung.codecs},{group.members[0].codecs}"',
        f"RESOLUTION={rung.width}x{rung.height}",
        f"FRAME-RATE={_three_decimals(rung.frame_rate)}",
        "VIDEO-RANGE=SDR",
        *_chosen(group, subtitles=subtitles),
    ]
    return _Variant(
        bandwidth=bandwidth,
        lines=(_tag("STREAM-INF", ",".join(attributes)), _uri(rung, layout.MEDIA_PLAYLIST)),
    )


def _sound_only(group: _Group, policy: Policy, *, subtitles: bool) -> _Variant:
    """For those with the least: Apple asks for a variant of at most 192 kb/s, which no picture with sound is."""
    first = default(group.members, policy.default_language)
    heard = next(sound for sound in group.members if what(sound) == first)
    attributes = [
        f"BANDWIDTH={group.peak}",
        f"AVERAGE-BANDWIDTH={group.average}",
        f'CODECS="{heard.codecs}"',
        *_chosen(group, subtitles=subtitles),
    ]
    return _Variant(
        bandwidth=group.peak,
        lines=(_tag("STREAM-INF", ",".join(attributes)), _uri(heard, layout.MEDIA_PLAYLIST)),
    )


def _chosen(group: _Group, *, subtitles: bool) -> list[str]:
    """The renditions that go with a variant. Without CLOSED-CAPTIONS=NONE players look for captions in the video."""
    return [
        f'AUDIO="{group.id}"',
        *([f'SUBTITLES="{SUBTITLES}"'] if subtitles else []),
        "CLOSED-CAPTIONS=NONE",
    ]


def _iframes(rung: VideoTrack) -> str:
    return _tag(
        "I-FRAME-STREAM-INF",
        f"BANDWIDTH={rung.iframe_peak},AVERAGE-BANDWIDTH={rung.iframe_average},"
        f'CODECS="{rung.codecs}",RESOLUTION={rung.width}x{rung.height},VIDEO-RANGE=SDR,'
        f'URI="{_uri(rung, layout.IFRAME_PLAYLIST)}"',
    )


def _thumbnails(track: ThumbnailTrack) -> str:
    """As a VALUE, not a URI: what a session-data URI names must be JSON (4.3.4.4), and some players load it at once."""
    return _tag("SESSION-DATA", f'DATA-ID="{THUMBNAILS}",VALUE="{_uri(track, layout.THUMBNAIL_INDEX)}"')


def _uri(track: Track, file: str) -> str:
    return layout.from_manifest(track.prefix, file)


def _tag(name: str, attributes: str) -> str:
    return f"#EXT-X-{name}:{attributes}"


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def _quoted(text: str) -> str:
    """RFC 8216, 4.2: a quoted string holds neither quotes nor line ends, and there is no way to escape them."""
    return '"' + _CONTROLS.sub(" ", text).replace('"', "”") + '"'


def _three_decimals(rate: Fraction) -> str:
    return f"{float(rate):.3f}"

"""
Rules for HLS. *RFC* is RFC 8216, *Apple* the HLS authoring specification for Apple devices (June 2025).

A rule yields (where, sentence) for each place that breaks it.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from pipelines import rates
from pipelines.lint import hls_renditions
from pipelines.lint.finding import AAC_FRAME, Fault, Finding, Rule, Shelf, differs, judged, resolved
from pipelines.lint.hls_view import Hls, MediaPlaylist, hls_view, missing
from pipelines.lint.reader import Tag

#: Bits per second of the least variant (Apple: cellular networks).
LEAST = 192_000
#: Apple: no segment is longer than the target by more than half a second.
OVER_TARGET = Fraction(1, 2)
#: Seconds that a day of durations, each rounded to a microsecond, may add up to.
ROUNDING = Fraction(1, 1000)
#: Seconds between key frames, and one frame of the slowest film.
KEY_FRAMES = 2 + Fraction(1001, 24_000)
#: Of EXT-X-VERSION: what CHANNELS needs, and what EXT-X-MAP does.
NEEDED = 7
NEEDED_BY_MAP = 6
VALUES = {
    "BANDWIDTH": re.compile(r"[1-9][0-9]{0,11}"),
    "AVERAGE-BANDWIDTH": re.compile(r"[1-9][0-9]{0,11}"),
    "RESOLUTION": re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"),
    "FRAME-RATE": re.compile(r"([1-5]?[0-9]\.[0-9]{3}|60\.000)"),
    "VIDEO-RANGE": re.compile(r"SDR|HLG|PQ"),
    "CODECS": re.compile(r"((avc1\.[0-9A-Fa-f]{6}|(hvc1|av01|mp4a)\.[0-9A-Za-z.]+|ac-3|ec-3)(,|\Z))+"),
}


def lint_hls(key: str, shelf: Shelf) -> list[Finding]:
    """What is wrong with the presentation whose multivariant playlist is at `key`."""
    view, faults = hls_view(key, shelf)

    def parses(_: Hls) -> Iterator[Fault]:
        """RFC 4: a playlist is UTF-8 lines, tags and URIs by its grammar."""
        yield from faults

    return judged(view, (parses, *(ERRORS if view.tags else ())), WARNINGS)


def reachable(view: Hls) -> Iterator[Fault]:
    """RFC 6.2.1: whatever a playlist names is there."""
    named = [
        (view.where(tag), tag.uri or tag.attributes["URI"]) for tag in view.tags if tag.uri or "URI" in tag.attributes
    ]
    for where, uri in named:
        if resolved(view.key, uri) not in view.shelf.sizes:
            yield where, f"{uri} is not in the store."
    for playlist in view.media.values():
        missing = [name for name in playlist.names if name not in view.shelf.sizes]
        if missing:
            yield playlist.key, f"{missing[0]} is not in the store ({len(missing)} in all)."


def thumbnails_reachable(view: Hls) -> Iterator[Fault]:
    """Ours: the index of sprites is stored, and names sprites that are."""
    for data in view.named("EXT-X-SESSION-DATA"):
        if not data.attributes.get("VALUE", "").endswith(".vtt"):
            continue
        index = resolved(view.key, data.attributes["VALUE"])
        if index not in view.shelf.texts:
            yield view.where(data), f"{index} is not in the store."
            continue
        named = {line.partition("#xywh=")[0] for line in view.shelf.texts[index].split("\n") if "#xywh=" in line}
        for sprite in sorted(resolved(index, uri) for uri in named):
            if sprite not in view.shelf.sizes:
                yield index, f"{sprite} is not in the store."


def independent_segments(view: Hls) -> Iterator[Fault]:
    """Apple: EXT-X-INDEPENDENT-SEGMENTS, so that players may switch at any segment."""
    if not view.named("EXT-X-INDEPENDENT-SEGMENTS"):
        yield view.key, "EXT-X-INDEPENDENT-SEGMENTS is missing."


def variant_attributes(view: Hls) -> Iterator[Fault]:
    """Apple: CODECS, AVERAGE-BANDWIDTH, and for a picture RESOLUTION, FRAME-RATE; RFC 4.3.4.2: BANDWIDTH."""
    needed = ("BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", "AUDIO")
    for variant in view.variants:
        picture = ("RESOLUTION", "FRAME-RATE") if _has_video(variant) else ()
        yield from missing(view, variant, (*needed, *picture))
    for iframes in view.iframes:
        yield from missing(view, iframes, ("BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", "RESOLUTION", "URI"))


def variant_values(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.2, 6381: values by their grammar; Apple: FRAME-RATE with three decimals, 60 at most; the same range."""
    for variant in (*view.variants, *view.iframes):
        for name, grammar in VALUES.items():
            value = variant.attributes.get(name)
            if value is not None and not grammar.fullmatch(value):
                yield view.where(variant), f"{name} is `{value}`."
    ranges = {variant.attributes.get("VIDEO-RANGE", "SDR") for variant in (*view.pictures, *view.iframes)}
    if len(ranges) > 1:
        yield view.key, f"it mixes {' and '.join(sorted(ranges))}."


def scores_agree(view: Hls) -> Iterator[Fault]:
    """RFC 8216bis 4.4.6.2: if one variant has a SCORE, all have."""
    scored = ["SCORE" in variant.attributes for variant in view.variants]
    if any(scored) and not all(scored):
        yield view.key, f"{sum(scored)} of {len(scored)} variants have a SCORE."


def captions_agree(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.2: if one variant says CLOSED-CAPTIONS=NONE, all do."""
    without = [variant for variant in view.variants if variant.attributes.get("CLOSED-CAPTIONS") != "NONE"]
    if len(without) < len(view.variants):
        yield from ((view.where(variant), "it does not say CLOSED-CAPTIONS=NONE.") for variant in without)


def vod(view: Hls) -> Iterator[Fault]:
    """Apple: EXT-X-PLAYLIST-TYPE:VOD; RFC 4.3.3.4: EXT-X-ENDLIST, or players wait for more."""
    for playlist in view.media.values():
        if playlist.value("EXT-X-PLAYLIST-TYPE") != "VOD":
            yield playlist.key, "EXT-X-PLAYLIST-TYPE:VOD is missing."
        if not playlist.has("EXT-X-ENDLIST"):
            yield playlist.key, "EXT-X-ENDLIST is missing."


def init_segments(view: Hls) -> Iterator[Fault]:
    """RFC 3.3: segments of fragmented MP4 need their EXT-X-MAP."""
    for playlist in view.timed():
        if not playlist.has("EXT-X-MAP"):
            yield playlist.key, "EXT-X-MAP is missing."


def same_target(view: Hls) -> Iterator[Fault]:
    """Apple: pictures and sounds have the same target duration."""
    targets = {playlist.key: playlist.target for playlist in view.timed()}
    if len(set(targets.values())) > 1:
        first, *others = targets.items()
        yield from (
            (key, f"its target is {target} s, and {first[0]} has {first[1]} s.")
            for key, target in others
            if target != first[1]
        )


def segments_within_target(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.3.1: durations rounded to whole seconds are at most the target; Apple: over it by less than 0.5 s."""
    for playlist in view.media.values():
        longest = max(seconds for seconds, _ in playlist.pieces)
        if longest >= playlist.target + OVER_TARGET:
            yield playlist.key, f"a segment lasts {float(longest):.3f} s; the target is {playlist.target} s."


def same_duration(view: Hls) -> Iterator[Fault]:
    """Apple: all renditions last equally long; sound can't be cut nearer than an AAC frame."""
    longest = max((playlist.duration for playlist in _pictures(view)), default=Fraction(0))
    for playlist in view.media.values():
        if abs(playlist.duration - longest) > AAC_FRAME + ROUNDING:
            yield playlist.key, f"it lasts {float(playlist.duration):.3f} s, and the picture {float(longest):.3f} s."


def aligned_pictures(view: Hls) -> Iterator[Fault]:
    """RFC 6.2.4: segments of all variants start at the same instants."""
    pictures = _pictures(view)
    for playlist in pictures[1:]:
        if _lengths(playlist) != _lengths(pictures[0]):
            yield playlist.key, f"its segments do not start when those of {pictures[0].key} do."


def bandwidth_measured(view: Hls) -> Iterator[Fault]:
    """Apple: BANDWIDTH is within 10 % of the measured peak, the largest sum of any playable combination."""
    yield from _measured(view, "BANDWIDTH")


def average_bandwidth_measured(view: Hls) -> Iterator[Fault]:
    """Apple: AVERAGE-BANDWIDTH is within 10 % of the measured average."""
    yield from _measured(view, "AVERAGE-BANDWIDTH")


def average_below_peak(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.2: BANDWIDTH is the peak, so AVERAGE-BANDWIDTH is not above it."""
    for tag in (*view.variants, *view.iframes):
        if _number(tag, "AVERAGE-BANDWIDTH") > _number(tag, "BANDWIDTH"):
            yield view.where(tag), "its AVERAGE-BANDWIDTH is above its BANDWIDTH."


def least_variant(view: Hls) -> Iterator[Fault]:
    """Apple: a variant of at most 192 kb/s, for the worst networks."""
    least = min((_number(variant, "BANDWIDTH") for variant in view.variants), default=0)
    if least > LEAST:
        yield view.key, f"its least variant needs {least} b/s; one must need {LEAST} or less."


def iframe_playlists(view: Hls) -> Iterator[Fault]:
    """Apple: I-frame playlists, for pictures while scrubbing; one for each size is ours."""
    sizes = {iframes.attributes.get("RESOLUTION") for iframes in view.iframes}
    for size in sorted({variant.attributes["RESOLUTION"] for variant in view.pictures} - sizes):
        yield view.key, f"{size} has no I-frame playlist."
    for iframes in view.iframes:
        playlist = view.playlist(iframes.attributes.get("URI", ""))
        if playlist and not playlist.has("EXT-X-I-FRAMES-ONLY"):
            yield playlist.key, "EXT-X-I-FRAMES-ONLY is missing."


def iframe_bandwidth_measured(view: Hls) -> Iterator[Fault]:
    """Apple: BANDWIDTH and AVERAGE-BANDWIDTH of I-frame playlists too are within 10 % of what is measured."""
    for entry in view.iframes:
        if (playlist := view.playlist(entry.attributes.get("URI", ""))) is None:
            continue
        for name in ("BANDWIDTH", "AVERAGE-BANDWIDTH"):
            promised, measured = _number(entry, name), _rate(playlist, name)
            if differs(promised, measured):
                yield view.where(entry), f"{name} is {promised}, and {measured} b/s were measured."


def ranges_fit(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.2.2: a range of bytes is within what it is a range of."""
    for playlist in view.media.values():
        for name, end in playlist.ends:
            if end > view.shelf.sizes.get(name, end):
                yield playlist.key, f"a range ends at byte {end} of {name}, which has {view.shelf.sizes[name]}."


def versions(view: Hls) -> Iterator[Fault]:
    """RFC 7: EXT-X-VERSION is what is used needs, 6 for EXT-X-MAP, 7 for CHANNELS."""
    told = [(view.key, view.tags, NEEDED), *((each.key, each.tags, NEEDED_BY_MAP) for each in view.media.values())]
    for key, tags, needed in told:
        said = [tag.value for tag in tags if tag.name == "EXT-X-VERSION"]
        if len(said) != 1 or not said[0].isdecimal() or int(said[0]) < needed:
            yield key, f"EXT-X-VERSION is {', '.join(said) or 'missing'}; {needed} is needed."


def key_frames_often(view: Hls) -> Iterator[Fault]:
    """Apple (SHOULD): a key frame every two seconds; a frame more is for rates that do not go into two seconds."""
    for entry in view.iframes:
        playlist = view.playlist(entry.attributes.get("URI", ""))
        longest = max((seconds for seconds, _ in playlist.pieces), default=0) if playlist else 0
        if longest > KEY_FRAMES:
            yield view.where(entry), f"its key frames are {float(longest):.3f} s apart."


def peak_to_average(view: Hls) -> Iterator[Fault]:
    """Apple (SHOULD): the peak is at most twice the average."""
    for variant in view.pictures:
        peak, average = _number(variant, "BANDWIDTH"), _number(variant, "AVERAGE-BANDWIDTH")
        if average and peak > 2 * average:
            yield view.where(variant), f"its peak is {100 * peak // average} % of its average."


ERRORS: tuple[Rule[Hls], ...] = (
    reachable,
    thumbnails_reachable,
    independent_segments,
    variant_attributes,
    variant_values,
    scores_agree,
    captions_agree,
    vod,
    init_segments,
    same_target,
    segments_within_target,
    same_duration,
    aligned_pictures,
    bandwidth_measured,
    average_bandwidth_measured,
    average_below_peak,
    least_variant,
    iframe_playlists,
    iframe_bandwidth_measured,
    ranges_fit,
    versions,
    *hls_renditions.ERRORS,
)
WARNINGS: tuple[Rule[Hls], ...] = (peak_to_average, key_frames_often)


def _has_video(variant: Tag) -> bool:
    return any(
        codec.startswith(("avc", "hvc", "hev", "av01")) for codec in variant.attributes.get("CODECS", "").split(",")
    )


def _pictures(view: Hls) -> list[MediaPlaylist]:
    found = {variant.uri: view.playlist(variant.uri) for variant in view.pictures}
    return [playlist for playlist in found.values() if playlist]


def _lengths(playlist: MediaPlaylist) -> list[Fraction]:
    return [seconds for seconds, _ in playlist.pieces]


def _number(tag: Tag, name: str) -> int:
    value = tag.attributes.get(name, "")
    return int(value) if value.isdecimal() else 0


def _measured(view: Hls, attribute: str) -> Iterator[Fault]:
    for variant in view.variants:
        sounds = view.groups("AUDIO").get(variant.attributes.get("AUDIO", ""), [])
        heard = [view.playlist(sound.attributes.get("URI", "")) for sound in sounds]
        measured = max((_rate(playlist, attribute) for playlist in heard if playlist), default=0)
        picture = view.playlist(variant.uri) if variant in view.pictures else None
        measured += _rate(picture, attribute) if picture else 0
        promised = _number(variant, attribute)
        if measured and differs(promised, measured):
            yield view.where(variant), f"{attribute} is {promised}, and {measured} b/s were measured."


def _rate(playlist: MediaPlaylist, attribute: str) -> int:
    return (
        rates.average(playlist.pieces)
        if attribute.startswith("AVERAGE")
        else rates.peak(playlist.pieces, playlist.target)
    )

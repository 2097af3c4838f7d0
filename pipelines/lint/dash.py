"""
Rules for DASH. *ISO* is ISO/IEC 23009-1, *IOP* DASH-IF's interoperability points.

A rule yields (where, sentence) for each place that breaks it.
"""

from collections.abc import Iterator
from fractions import Fraction

import langcodes

from pipelines import rates
from pipelines.lint.dash_form import attributes_known, elements_in_order
from pipelines.lint.dash_view import Dash, Representation, dash_view
from pipelines.lint.finding import AAC_FRAME, Fault, Finding, Rule, Shelf, differs, judged
from pipelines.lint.reader import UnreadableError

ROLE = "urn:mpeg:dash:role:2011"
TILES = "http://dashif.org/guidelines/thumbnail_tile"
MIME_TYPES = {"video": "video/mp4", "audio": "audio/mp4", "text": "text/vtt", "image": "image/jpeg"}


def lint_dash(key: str, shelf: Shelf) -> list[Finding]:
    """What is wrong with the presentation whose MPD is at `key`."""
    try:
        view = dash_view(key, shelf)
    except UnreadableError as error:
        return [Finding(rule="parses", severity="error", where=key, sentence=f"{error}.")]
    return judged(view, ERRORS, ())


def reachable(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.9: whatever a template or a BaseURL names is there."""
    for each in view.representations:
        missing = [name for name in each.names if name not in view.shelf.sizes]
        if missing:
            yield _at(view, each), f"{missing[0]} is not in the store ({len(missing)} in all)."


def presentation_attributes(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.1.2: profiles, minBufferTime; type static, or players wait for more."""
    for name in ("profiles", "minBufferTime"):
        if not view.root.get(name):
            yield view.key, f"MPD has no {name}."
    if view.root.get("type") != "static":
        yield view.key, "MPD is not of type static."


def representation_attributes(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.5.2, 5.3.7.2: id, bandwidth and mimeType; codecs of video and audio; size and rate of pictures."""
    more = {
        "video": ("codecs", "width", "height", "frameRate"),
        "audio": ("codecs", "audioSamplingRate", "lang"),
        "text": ("lang",),
        "image": ("width", "height"),
    }
    for each in view.representations:
        for name in ("id", "bandwidth", *more.get(each.kind, ())):
            if not each.get(name):
                yield _at(view, each), f"it has no {name}."
        if each.get("mimeType") != MIME_TYPES.get(each.kind):
            yield _at(view, each), f"it is {each.kind or 'of no kind'}, and has mimeType `{each.get('mimeType')}`."


def languages_are_tags(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.3.2: lang is a tag by BCP 47."""
    for each in view.representations:
        if each.get("lang") and not langcodes.tag_is_valid(each.get("lang")):
            yield _at(view, each), f"`{each.get('lang')}` is no language."


def switchable(view: Dash) -> Iterator[Fault]:
    """IOP 3.2.4: players may switch at every segment of a set, and no picture is larger than the set says."""
    for each in (*view.of("video"), *view.of("audio")):
        if (each.get("segmentAlignment"), each.get("startWithSAP")) != ("true", "1"):
            yield _at(view, each), "its set does not say segmentAlignment and startWithSAP."
    for each in view.of("video"):
        for side, most in (("width", "maxWidth"), ("height", "maxHeight")):
            if each.get(side).isdecimal() and int(each.get(side)) > int(each.adaptation.get(most, "0")):
                yield _at(view, each), f"its {side} is more than its set's {most}."


def ids_differ(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.3.2, 5.3.5.2: ids of adaptation sets, and of representations, are unique within the period."""
    sets = [adaptation.get("id") or "" for adaptation in view.sets()]
    tracks = [each.element.get("id") or "" for each in view.representations]
    for what, ids in (("adaptation set", sets), ("representation", tracks)):
        yield from (
            (view.key, f"two have the {what} id `{one}`.") for one in sorted({i for i in ids if ids.count(i) > 1})
        )


def timelines_sum(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.9.6: segments follow each other from 0, and last as long as the presentation, to an AAC frame."""
    for each in (*view.of("video"), *view.of("audio")):
        if not each.continuous:
            yield _at(view, each), "its segments do not follow each other from 0."
        if abs(each.duration - view.duration) > AAC_FRAME:
            yield _at(view, each), f"it lasts {float(each.duration):.3f} s of {float(view.duration):.3f} s."


def aligned_pictures(view: Dash) -> Iterator[Fault]:
    """ISO 5.3.3.2: with segmentAlignment, segments of all representations start at the same instants."""
    pictures = view.of("video")
    for each in pictures[1:]:
        if _lengths(each) != _lengths(pictures[0]):
            yield _at(view, each), f"its segments do not start when those of {pictures[0].where} do."


def bandwidth_measured(view: Dash) -> Iterator[Fault]:
    """Ours, as for HLS: bandwidth is within 10 % of the measured peak."""
    target = max((round(seconds) for each in view.of("video") for seconds, _ in each.pieces), default=1)
    for each in (*view.of("video"), *view.of("audio")):
        promised, measured = each.get("bandwidth"), rates.peak(each.pieces, max(1, target))
        if promised.isdecimal() and differs(int(promised), measured):
            yield _at(view, each), f"bandwidth is {promised}, and {measured} b/s were measured."


def one_main_sound(view: Dash) -> Iterator[Fault]:
    """IOP: players start with the role main; it is one language."""
    languages = {each.get("lang") for each in view.of("audio") if each.described("Role").get(ROLE) == "main"}
    if len(languages) != 1:
        yield view.key, f"{len(languages)} languages have the role main."


def roles_and_channels(view: Dash) -> Iterator[Fault]:
    """IOP: every sound and text says its role; every sound its channels."""
    for each in (*view.of("audio"), *view.of("text")):
        if ROLE not in each.described("Role"):
            yield _at(view, each), "it has no Role."
        if each.kind == "audio" and not any(each.described("AudioChannelConfiguration").values()):
            yield _at(view, each), "it has no AudioChannelConfiguration."


def sprites_are_tiled(view: Dash) -> Iterator[Fault]:
    """IOP 6.2.6: sprites say how many tiles they have, and their size is a whole number of tiles."""
    for each in view.of("image"):
        columns, _, rows = each.described("EssentialProperty").get(TILES, "").partition("x")
        sizes = ((columns, each.get("width")), (rows, each.get("height")))
        if not all(count.isdecimal() and size.isdecimal() and int(size) % int(count) == 0 for count, size in sizes):
            yield _at(view, each), "its size is not that of whole tiles."


ERRORS: tuple[Rule[Dash], ...] = (
    elements_in_order,
    attributes_known,
    reachable,
    presentation_attributes,
    representation_attributes,
    languages_are_tags,
    switchable,
    ids_differ,
    timelines_sum,
    aligned_pictures,
    bandwidth_measured,
    one_main_sound,
    roles_and_channels,
    sprites_are_tiled,
)


def _at(view: Dash, representation: Representation) -> str:
    return f"{view.key}, {representation.where}"


def _lengths(representation: Representation) -> list[Fraction]:
    return [seconds for seconds, _ in representation.pieces]

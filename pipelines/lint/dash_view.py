"""A DASH presentation as rules look at it: every representation with its segments, measured."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from lxml import etree

from pipelines.lint.finding import Shelf, resolved
from pipelines.lint.reader import UnreadableError
from pipelines.rates import Piece

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
#: Segments of a representation: a day of the shortest ones.
_MOST_SEGMENTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """One track, as the MPD tells it."""

    element: etree._Element
    adaptation: etree._Element
    #: Keys of all that it names.
    names: tuple[str, ...]
    #: Of a timeline; empty for text and sprites.
    pieces: tuple[Piece, ...]
    #: Whether each segment starts when the one before it ends, the first at nought.
    continuous: bool

    def get(self, attribute: str) -> str:
        """An attribute, its own or the one that its adaptation set gives to all."""
        return self.element.get(attribute) or self.adaptation.get(attribute) or ""

    @property
    def where(self) -> str:
        return f"representation {self.element.get('id')}"

    @property
    def kind(self) -> str:
        return self.get("contentType")

    @property
    def duration(self) -> Fraction:
        return sum((seconds for seconds, _ in self.pieces), Fraction(0))

    def described(self, name: str) -> dict[str, str]:
        """Values by scheme of the descriptors of that name, its own and its set's."""
        found = [*self.adaptation.iterfind(MPD + name), *self.element.iterfind(MPD + name)]
        return {each.get("schemeIdUri") or "": each.get("value") or "" for each in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dash:
    """The whole presentation."""

    key: str
    shelf: Shelf
    root: etree._Element
    #: Seconds.
    duration: Fraction
    representations: tuple[Representation, ...]

    def of(self, kind: str) -> list[Representation]:
        return [each for each in self.representations if each.kind == kind]

    def sets(self) -> list[etree._Element]:
        return list(self.root.iter(MPD + "AdaptationSet"))


def dash_view(key: str, shelf: Shelf) -> Dash:
    """The presentation whose MPD is at `key`. Raises `UnreadableError`."""
    # What an MPD names is data: nothing is fetched or expanded while reading it.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(shelf.texts[key].encode(), parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableError(f"it is not XML: {error.msg}") from error
    if root.tag != MPD + "MPD":
        raise UnreadableError(f"its root is {root.tag}")
    duration = _iso_seconds(root.get("mediaPresentationDuration") or "")
    return Dash(
        key=key,
        shelf=shelf,
        root=root,
        duration=duration,
        representations=tuple(
            _representation(representation, adaptation, key, shelf, duration)
            for adaptation in root.iter(MPD + "AdaptationSet")
            for representation in adaptation.iterfind(MPD + "Representation")
        ),
    )


def _representation(
    element: etree._Element, adaptation: etree._Element, key: str, shelf: Shelf, duration: Fraction
) -> Representation:
    template = element.find(MPD + "SegmentTemplate")
    bases = [resolved(key, base.text or "") for base in element.iterfind(MPD + "BaseURL")]
    if template is None:
        return Representation(element=element, adaptation=adaptation, names=tuple(bases), pieces=(), continuous=True)
    scale = _whole(template, "timescale", 1)
    spans = list(_timeline(template))
    count = len(spans) or ceil(duration * scale / _whole(template, "duration", None))
    if not 0 < count <= _MOST_SEGMENTS:
        raise UnreadableError(f"line {template.sourceline} has {count} segments")
    first = _whole(template, "startNumber", 1)
    media = [_numbered(key, template, number) for number in range(first, first + count)]
    start = template.get("initialization")
    ends = [0, *(begin + ticks for begin, ticks in spans)]
    return Representation(
        element=element,
        adaptation=adaptation,
        names=(*([resolved(key, start)] if start else []), *media),
        pieces=tuple(
            (Fraction(ticks, scale), shelf.sizes.get(name, 0)) for (_, ticks), name in zip(spans, media, strict=False)
        ),
        continuous=all(begin == end for (begin, _), end in zip(spans, ends, strict=False)),
    )


def _timeline(template: etree._Element) -> Iterator[tuple[int, int]]:
    """(start, duration) in ticks of every segment."""
    at = 0
    for run in template.iterfind(f"{MPD}SegmentTimeline/{MPD}S"):
        at = _whole(run, "t", at)
        ticks, again = _whole(run, "d", None), _whole(run, "r", 0)
        if again > _MOST_SEGMENTS:
            raise UnreadableError(f"line {run.sourceline} repeats {again} times")
        for _ in range(again + 1):
            yield at, ticks
            at += ticks


def _numbered(key: str, template: etree._Element, number: int) -> str:
    media = template.get("media") or ""
    return resolved(key, re.sub(r"\$Number%0([1-9])d\$", lambda width: f"{number:0{width[1]}d}", media))


def _whole(element: etree._Element, name: str, default: int | None) -> int:
    """An attribute that is a whole number. Without a `default` it must be there, and not nought."""
    value = element.get(name)
    if value is None and default is not None:
        return default
    least = 1 if default is None else 0
    if value is None or not re.fullmatch(r"[0-9]{1,18}", value) or int(value) < least:
        raise UnreadableError(f"line {element.sourceline} has no whole {name}")
    return int(value)


def _iso_seconds(text: str) -> Fraction:
    match = re.fullmatch(r"PT(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,12})?)S)?", text)
    if match is None or not any(match.groups()):
        raise UnreadableError(f"mediaPresentationDuration is `{text}`")
    hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds

"""An HLS presentation as rules look at it: the multivariant playlist, and every playlist that it names, measured."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pipelines.lint.finding import Fault, Shelf, resolved
from pipelines.lint.reader import Tag, UnreadableError, read
from pipelines.rates import Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """One track's playlist."""

    key: str
    tags: tuple[Tag, ...]
    #: Whole seconds.
    target: int
    #: Keys of all that it names.
    names: tuple[str, ...]
    pieces: tuple[Piece, ...]
    #: Of each piece, in order: the key of its object, and the byte after its last; all of it where no range is given.
    ends: tuple[tuple[str, int], ...]

    @property
    def duration(self) -> Fraction:
        return sum((seconds for seconds, _ in self.pieces), Fraction(0))

    def has(self, tag: str) -> bool:
        return any(each.name == tag for each in self.tags)

    def value(self, tag: str) -> str:
        return next((each.value for each in self.tags if each.name == tag), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hls:
    """The whole presentation."""

    key: str
    shelf: Shelf
    tags: tuple[Tag, ...]
    #: By key; those that are not stored or not readable are missing.
    media: Mapping[str, MediaPlaylist]

    def named(self, tag: str) -> list[Tag]:
        return [each for each in self.tags if each.name == tag]

    @property
    def variants(self) -> list[Tag]:
        return self.named("EXT-X-STREAM-INF")

    @property
    def pictures(self) -> list[Tag]:
        """The variants that have a picture."""
        return [variant for variant in self.variants if "RESOLUTION" in variant.attributes]

    @property
    def iframes(self) -> list[Tag]:
        return self.named("EXT-X-I-FRAME-STREAM-INF")

    def renditions(self, kind: str) -> list[Tag]:
        return [each for each in self.named("EXT-X-MEDIA") if each.attributes.get("TYPE") == kind]

    def groups(self, kind: str) -> dict[str, list[Tag]]:
        groups: dict[str, list[Tag]] = {}
        for rendition in self.renditions(kind):
            groups.setdefault(rendition.attributes.get("GROUP-ID", ""), []).append(rendition)
        return groups

    def playlist(self, uri: str) -> MediaPlaylist | None:
        return self.media.get(resolved(self.key, uri))

    def timed(self) -> list[MediaPlaylist]:
        """The playlists of pictures and sounds, each once."""
        uris = [variant.uri for variant in self.variants]
        uris += [rendition.attributes.get("URI", "") for rendition in self.renditions("AUDIO")]
        found = {resolved(self.key, uri): self.playlist(uri) for uri in uris}
        return [playlist for playlist in found.values() if playlist]

    def where(self, tag: Tag) -> str:
        return f"{self.key}, line {tag.line}"


def hls_view(key: str, shelf: Shelf) -> tuple[Hls, list[Fault]]:
    """The presentation whose multivariant playlist is at `key`, and what could not be read of it."""
    try:
        tags = read(shelf.texts[key])
    except UnreadableError as error:
        return Hls(key=key, shelf=shelf, tags=(), media={}), [(key, f"{error}.")]
    media, faults = {}, []
    for playlist in dict.fromkeys(resolved(key, uri) for uri in _playlists(tags)):
        try:
            if playlist in shelf.texts:
                media[playlist] = _media(playlist, shelf)
        except UnreadableError as error:
            faults.append((playlist, f"{error}."))
    return Hls(key=key, shelf=shelf, tags=tags, media=media), faults


def _playlists(tags: tuple[Tag, ...]) -> Iterator[str]:
    for tag in tags:
        if tag.name == "EXT-X-STREAM-INF":
            yield tag.uri
        elif tag.name in ("EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF") and "URI" in tag.attributes:
            yield tag.attributes["URI"]


def _media(key: str, shelf: Shelf) -> MediaPlaylist:
    tags = read(shelf.texts[key])
    maps = [tag.attributes.get("URI", "") for tag in tags if tag.name == "EXT-X-MAP"]
    segments = [tag for tag in tags if tag.name == "EXTINF"]
    if not segments:
        raise UnreadableError("it has no segment")
    target = next((tag.value for tag in tags if tag.name == "EXT-X-TARGETDURATION"), "")
    if not re.fullmatch(r"[0-9]{1,5}", target):
        raise UnreadableError("it has no EXT-X-TARGETDURATION")
    return MediaPlaylist(
        key=key,
        tags=tags,
        target=int(target),
        names=tuple(dict.fromkeys(resolved(key, uri) for uri in [*maps, *(segment.uri for segment in segments)])),
        pieces=tuple((_seconds(segment), _span(key, segment, shelf)[1]) for segment in segments),
        ends=tuple((resolved(key, segment.uri), sum(_span(key, segment, shelf))) for segment in segments),
    )


def _seconds(segment: Tag) -> Fraction:
    seconds = segment.value.partition(",")[0]
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,12})?", seconds) or not Fraction(seconds):
        raise UnreadableError(f"line {segment.line} has no duration")
    return Fraction(seconds)


def _span(key: str, segment: Tag, shelf: Shelf) -> tuple[int, int]:
    """Where it begins in its object, and how long it is, in bytes. A range without its start is refused."""
    if not segment.byterange:
        return 0, shelf.sizes.get(resolved(key, segment.uri), 0)
    found = re.fullmatch(r"([0-9]{1,12})@([0-9]{1,12})", segment.byterange)
    if found is None:
        raise UnreadableError(f"line {segment.line} has no byte range")
    return int(found[2]), int(found[1])


def missing(view: Hls, tag: Tag, needed: tuple[str, ...]) -> Iterator[Fault]:
    """Each of the needed attributes that the tag has not."""
    return ((view.where(tag), f"{tag.name} has no {name}.") for name in needed if not tag.attributes.get(name))

"""
A playlist as its tags, read as strictly as RFC 8216 is written: players forgive differently, so nothing is forgiven.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: 4.2: names are upper case; a value is quoted, or holds no quote, comma or space.
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=(?:"([^"\r\n]*)"|([^",\s]+))(?:,|\Z)')
_WITH_ATTRIBUTES = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA", "EXT-X-MAP"}
_BEFORE_URI = {"EXT-X-STREAM-INF", "EXTINF"}


class UnreadableError(Exception):
    """A playlist that breaks RFC 8216's grammar; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A line of a playlist, and the URI that belongs to it."""

    #: Counted from one.
    line: int
    #: Without the `#`.
    name: str
    #: All that follows the colon.
    value: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""
    #: Of the tags between this one and its URI: `EXT-X-BYTERANGE`.
    byterange: str = ""


def read(text: str) -> tuple[Tag, ...]:
    """The tags of a playlist, each with its URI. Raises `UnreadableError`."""
    lines = text.split("\n")
    if lines[0] != "#EXTM3U":
        raise UnreadableError("line 1 is not #EXTM3U")
    return tuple(_tags(lines))


def _tags(lines: list[str]) -> Iterator[Tag]:
    waiting: Tag | None = None
    byterange = ""
    for number, line in enumerate(lines, 1):
        if line.startswith("#EXT"):
            tag = _tag(number, line[1:])
            if tag.name == "EXT-X-BYTERANGE":
                byterange = tag.value
            elif tag.name in _BEFORE_URI:
                _refuse_waiting(waiting)
                waiting = tag
            else:
                yield tag
        elif line and not line.startswith("#"):
            if waiting is None:
                raise UnreadableError(f"line {number} is a URI that no tag announces")
            yield Tag(
                line=waiting.line,
                name=waiting.name,
                value=waiting.value,
                attributes=waiting.attributes,
                uri=line,
                byterange=byterange,
            )
            waiting, byterange = None, ""
    _refuse_waiting(waiting)


def _refuse_waiting(tag: Tag | None) -> None:
    if tag is not None:
        raise UnreadableError(f"line {tag.line}, #{tag.name}, is not followed by a URI")


def _tag(number: int, line: str) -> Tag:
    name, _, value = line.partition(":")
    attributes = _attributes(number, value) if name in _WITH_ATTRIBUTES else {}
    return Tag(line=number, name=name, value=value, attributes=attributes)


def _attributes(number: int, text: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            raise UnreadableError(f"line {number} has no attribute list at `{text[at : at + 40]}`")
        if match[1] in attributes:
            raise UnreadableError(f"line {number} has {match[1]} twice")
        attributes[match[1]] = match[3] if match[2] is None else match[2]
        at = match.end()
    return attributes

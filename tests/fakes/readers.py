"""Manifests as a player reads them: which objects they name, one after another, down to the last segment."""

import json
import posixpath
from collections.abc import Iterator, Mapping
from urllib.parse import urldefrag

import m3u8
from lxml import etree

DASH = "{urn:mpeg:dash:schema:mpd:2011}"


def named(key: str, body: bytes) -> set[str]:
    """The keys of the objects that the object at `key` names; none for what is no manifest."""
    folder = posixpath.dirname(key)
    return {posixpath.normpath(posixpath.join(folder, urldefrag(name)[0])) for name in _names(key, body)}


def is_manifest(key: str) -> bool:
    """Whether an object names others."""
    return key.endswith((".m3u8", ".mpd", "/index.vtt", "/release.json"))


def _names(key: str, body: bytes) -> Iterator[str]:
    if key.endswith(".m3u8"):
        yield from _hls(body.decode())
    elif key.endswith(".mpd"):
        yield from _dash(body)
    elif key.endswith("/index.vtt"):
        yield from (line for line in body.decode().splitlines() if "#xywh=" in line)
    elif key.endswith("/release.json"):
        told = json.loads(body)
        yield from (told[name] for name in ("hls", "dash", "chapters") if name in told)


def _hls(text: str) -> Iterator[str]:
    playlist = m3u8.loads(text)
    yield from (each.uri for each in (*playlist.playlists, *playlist.iframe_playlists, *playlist.segments))
    yield from (each.uri for each in (*playlist.media, *playlist.segment_map) if each and each.uri)


def _dash(body: bytes) -> Iterator[str]:
    root = etree.fromstring(body)
    for representation in root.iter(f"{DASH}Representation"):
        yield from (str(base.text) for base in representation.iter(f"{DASH}BaseURL"))
        for template in representation.iter(f"{DASH}SegmentTemplate"):
            if initialization := template.get("initialization"):
                yield str(initialization)
            first = int(template.get("startNumber", "1"))
            for number in range(first, first + _segments(template, root.attrib)):
                yield str(template.get("media", "")).replace("$Number%05d$", f"{number:05d}")


def _segments(template: etree._Element, presentation: Mapping[object, object]) -> int:
    """By the timeline; by the presentation's duration where each is equally long."""
    timeline = list(template.iter(f"{DASH}S"))
    if timeline:
        return sum(1 + int(each.get("r", "0")) for each in timeline)
    seconds = float(str(presentation["mediaPresentationDuration"]).removeprefix("PT").removesuffix("S"))
    return -int(-seconds * int(template.get("timescale", "1")) // int(template.get("duration", "1")))

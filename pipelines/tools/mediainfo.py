"""
What MediaInfo says of a file, in a strict type: in pymediainfo itself a misspelt name reads as None.

It reads from a file object that we hold, so nothing the file names can be opened.
"""

import threading
from dataclasses import dataclass
from fractions import Fraction
from io import RawIOBase
from typing import Any
from xml.etree.ElementTree import ParseError

from pymediainfo import MediaInfo

from pipelines.errors import ToolError

#: `MediaInfo.parse` sets options of the whole library: one at a time.
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is asked of MediaInfo; None where it does not know."""

    #: The file ends before its structure does.
    truncated: bool
    #: Frames of the first video track, by its container.
    frames: int | None
    frame_rate: Fraction | None
    interlaced: bool
    #: Of the first frame, as `hh:mm:ss:ff`, or `;ff` where frames are dropped.
    time_code: str | None


def version() -> str:
    """What the library calls itself."""
    with _lock:
        _library, _handle, name, *_ = MediaInfo._get_library()  # noqa: SLF001 - there is no public way to ask
    return str(name)


def read(stream: RawIOBase) -> Report:
    """MediaInfo's report of the file open at `stream`. Raises `ToolError` when what it says makes no sense."""
    try:
        with _lock:
            return _reported(MediaInfo.parse(stream))
    except (ParseError, ValueError, ZeroDivisionError) as error:
        # Tags go into its XML as they are, control characters too; figures may be anything.
        raise ToolError(f"MediaInfo's report can't be read: {error}.", status=1) from error


def _reported(parsed: MediaInfo) -> Report:
    tracks: list[dict[str, Any]] = [track.to_data() for track in parsed.tracks]
    general: dict[str, Any] = next((t for t in tracks if t["track_type"] == "General"), {})
    video: dict[str, Any] = next((t for t in tracks if t["track_type"] == "Video"), {})
    return Report(
        truncated=general.get("istruncated") == "Yes",
        frames=int(video["frame_count"]) if "frame_count" in video else None,
        frame_rate=_frame_rate(video),
        interlaced=video.get("scan_type", "Progressive") != "Progressive",
        time_code=_time_code(tracks),
    )


def _frame_rate(video: dict[str, Any]) -> Fraction | None:
    if "framerate_num" in video:
        return Fraction(int(video["framerate_num"]), int(video["framerate_den"]))
    return Fraction(str(video["frame_rate"])) if "frame_rate" in video else None


def _time_code(tracks: list[dict[str, Any]]) -> str | None:
    """The picture's own time code before that of a time code track."""
    inclined = sorted(tracks, key=lambda track: track["track_type"] != "Video")
    return next((str(t["time_code_of_first_frame"]) for t in inclined if t.get("time_code_of_first_frame")), None)

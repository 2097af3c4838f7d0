"""
Frames really decoded, with their times: what is believed of a file is what ffmpeg gets out of it.

The decoder is the one that encodes later. The frames themselves go nowhere; only their times and sizes are kept.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from pipelines.tools import process
from pipelines.tools.ffmpeg import binary, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded frame of picture, or a run of samples."""

    #: Seconds, in the file's own count.
    time: Fraction
    #: Seconds.
    duration: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What came out, in the order shown."""

    frames: tuple[Frame, ...]
    #: Of a picture, in pixels.
    width: int = 0
    height: int = 0


def decode(
    address: str,
    demuxer: str,
    stream: int,
    *,
    since: Fraction | None = None,
    frames: int | None = None,
) -> Decoded:
    """
    Decode one stream, from `since` seconds after the beginning of the file, `frames` frames or to the end.

    Raises `ToolError` when a frame comes out damaged. From the very beginning the decoder is strict as well; after a
    seek it can't be, because the first frames of an open group of pictures lack what they refer to.
    """
    finished = process.run(
        [
            binary(),
            *("-hide_banner", "-nostdin", "-v", "error"),
            # Otherwise a frame with holes is patched over, and the exit status is 0.
            "-xerror",
            *(("-err_detect", "explode") if since is None else ("-ss", f"{float(since):.6f}")),
            # Sizes are those before rotation, as the packets hold them.
            "-noautorotate",
            # Times as the file counts them: they are compared with those of packets.
            "-copyts",
            *reading(address, demuxer),
            *("-i", address),
            *("-map", f"0:{stream}"),
            # Neither repeat nor drop a frame to make the rate constant, nor round its time to that rate.
            *("-fps_mode", "passthrough", "-enc_time_base:v", "demux"),
            *(("-frames", str(frames)) if frames else ()),
            # One line for each frame; no pictures.
            *("-f", "framecrc", "-"),
        ]
    )
    return _parsed(finished.stdout.decode())


def _parsed(text: str) -> Decoded:
    """From lines of `stream, decoding time, time, duration, size, checksum`, after a header of `#key 0: value`."""
    numerator, denominator = _header(r"#tb 0: (\d+)/(\d+)", text) or (1, 1)
    tick = Fraction(numerator, denominator)
    width, height = _header(r"#dimensions 0: (\d+)x(\d+)", text) or (0, 0)
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    frames = tuple(Frame(time=int(row[2]) * tick, duration=int(row[3]) * tick) for row in rows)
    return Decoded(frames=frames, width=width, height=height)


def _header(pattern: str, text: str) -> tuple[int, int] | None:
    found = re.search(pattern, text)
    return (int(found[1]), int(found[2])) if found else None

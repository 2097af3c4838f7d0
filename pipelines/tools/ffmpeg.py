"""
ffmpeg: what it may read, how its command is written, and how far it is.

`ffmpeg-python` compiles graphs to argument lists and nothing more: its own `run()` knows no progress, limit or end.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import ffmpeg
import imageio_ffmpeg

from pipelines.tools import process
from pipelines.tools.process import Finished
from pipelines.tools.supply import protocols

#: A node of a graph that is being written. The library has no types.
Stream = Any

#: Largest picture that is decoded, in pixels: 8K. A hostile header can claim one that fills the memory.
MAX_PIXELS = 8192 * 4320


@cache
def binary() -> str:
    """The path of the ffmpeg that comes with `imageio-ffmpeg`."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def version() -> str:
    """What that ffmpeg calls itself."""
    first = process.run([binary(), "-version"]).stdout.decode().partition("\n")[0]
    return first.removeprefix("ffmpeg version ").partition(" ")[0]


def source(address: str, demuxer: str, **options: Any) -> Stream:
    """The input at `address`, read as this format and confined to itself."""
    words = reading(address, demuxer)
    held = {key.removeprefix("-"): value for key, value in zip(words[::2], words[1::2], strict=True)}
    return ffmpeg.input(address, **held, **options)


def reading(address: str, demuxer: str) -> tuple[str, ...]:
    """Input options for ffmpeg and ffprobe that hold every read to the format that was found."""
    drefs = (
        # Both are ffmpeg's defaults, but a mistake here reads other files: tracks outside the file stay closed.
        ("-enable_drefs", "0", "-use_absolute_path", "0") if demuxer == "mov" else ()
    )
    return ("-f", demuxer, *drefs, *confined(address))


def confined(address: str) -> tuple[str, ...]:
    """Input options that keep a hostile file to itself and to bounded memory."""
    return (
        # Whatever a file may name, only the way that leads to the file itself is open.
        *("-protocol_whitelist", protocols(address)),
        # A header may claim any size: one allocation stays under a gibibyte, one picture under 8K.
        *("-max_alloc", str(1 << 30), "-max_pixels", str(MAX_PIXELS)),
        # ffmpeg would open up to a thousand decoders.
        *("-max_streams", "128"),
    )


def output(stream: Stream, target: str, **options: Any) -> Stream:
    """`stream` written to `target`."""
    return ffmpeg.output(stream, target, **options)


def command(*outputs: Stream, level: str = "error") -> list[str]:
    """The argument list for a graph that ends in `outputs`."""
    start = [
        binary(),
        "-nostdin",  # a question would wait for ever
        "-hide_banner",
        *("-loglevel", level),
        "-xerror",  # a damaged frame ends the run; by default it is patched over, and the exit status is 0
        *("-progress", "pipe:1"),  # for machines, on stdout; `run` reads it
        "-nostats",  # and not for people too
        # Slots run side by side: a filter that cuts each frame into a slice per processor costs 5 % more in all.
        *("-filter_complex_threads", "1"),
    ]
    whole = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    return list(whole.compile(cmd=start, overwrite_output=True))


def run(
    argv: list[str],
    *,
    watch: Callable[[float], None],
    frames: int | None = None,
    ahead: int = 0,
    seconds: Fraction | None = None,
) -> Finished:
    """
    Run `argv`, made by `command`; `watch` hears the share of the expected `frames` or `seconds` that is done.

    `ahead` is how many frames the encoder has been given before it writes the first.
    """
    progress = _Progress(frames=frames, ahead=ahead, seconds=seconds)
    return process.run(argv, watch=lambda: watch(progress.share), on_line=progress.hear)


class _Progress:
    """ffmpeg's `key=value` lines, and the share of the work that they tell of."""

    def __init__(self, *, frames: int | None, ahead: int, seconds: Fraction | None) -> None:
        self.share = 0.0
        self._ahead = ahead
        self._key = "frame" if frames else "out_time_us"
        self._whole = float(frames or (seconds or 1) * 1_000_000)

    def hear(self, line: str) -> None:
        key, _, value = line.partition("=")
        if key == self._key and value.strip().isdigit():  # before the first frame it is N/A
            written = int(value)
            self.share = min(1.0, (written + self._ahead) / (self._whole + self._ahead)) if written else 0.0

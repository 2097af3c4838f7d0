"""
A delivery whose every frame and every second can be checked: by eye and ear, and by machine.

The picture counts its frames, in digits and in a row of black and white cells, and flashes white for one frame each
second; a beep starts with every flash. Under the beeps each language hums its own tone from the first sample to the
last. The cues say when they are shown. A second of bars and line-up tone comes first and has to be cut.

    python -m scripts.synthesise FOLDER [--seconds 25]
"""

import argparse
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.tools import process
from pipelines.tools.ffmpeg import binary

#: Hertz of each language's tone: far enough apart, and from the beep, to be told from each other after AAC.
TONES = {"en": 440, "fr": 554, "de": 659}
BEEP = 1000
BEEP_SECONDS = 0.08
SAMPLE_RATE = 48_000

#: The frame number in a row of cells along the top: white, black, sixteen bits from the highest, one that makes the
#: number of white bits even, white. A cell is as wide as a twentieth of the picture, and as high as a tenth of it.
BITS = 16
CELLS = BITS + 4

#: A seven-segment display: the digits for which each segment is lit, and its left, top, width and height in a digit
#: of 6 × 10.
SEGMENTS = (
    ("02356789", (0, 0, 6, 1)),
    ("045689", (0, 0, 1, 5)),
    ("01234789", (5, 0, 1, 5)),
    ("2345689", (0, 4.5, 6, 1)),
    ("0268", (0, 5, 1, 5)),
    ("013456789", (5, 5, 1, 5)),
    ("0235689", (0, 9, 6, 1)),
)
DIGITS = 5
#: Of a digit and of the space before the next, in its units.
DIGIT_HEIGHT = 10
DIGIT_PITCH = 8

BARS = ("0xb4b4b4", "0xb4b410", "0x10b4b4", "0x10b410", "0xb410b4", "0xb41010", "0x1010b4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the picture measures."""

    width: int
    height: int
    rate: Fraction
    #: Seconds of the programme, counted as the time code counts them.
    seconds: int

    @property
    def base(self) -> int:
        """Frames that the time code counts in a second: how far flashes are apart, and how long the leader is."""
        return round(self.rate)

    @property
    def frames(self) -> int:
        """Of the whole file, leader included."""
        return (self.seconds + 1) * self.base

    @property
    def period(self) -> Fraction:
        """Real seconds from flash to flash."""
        return self.base / self.rate


def synthesise(
    folder: Path, seconds: int = 25, size: tuple[int, int] = (1920, 1080), rate: str = "25", *, speed: str = "ultrafast"
) -> Path:
    """
    Write a delivery into `folder`, and return the path of its episode.toml.

    `rate` is frames per second as ffmpeg writes it (`24000/1001`), `speed` x264's preset: `superfast` and slower make
    B-frames. Needs 65,536 frames or fewer. Raises `ToolError`, `HostError`.
    """
    shape = Shape(width=size[0], height=size[1], rate=Fraction(rate), seconds=seconds)
    folder.mkdir(parents=True, exist_ok=True)
    _mezzanine(folder / "mezzanine.mov", shape, speed)
    _dub(folder / "de.wav", shape, TONES["de"])
    (folder / "fr.srt").write_text(_srt(shape), encoding="utf-8")
    (folder / "de.vtt").write_text(_vtt(shape), encoding="utf-8")
    document = folder / "episode.toml"
    document.write_text(_document(shape), encoding="utf-8")
    return document


def _mezzanine(path: Path, shape: Shape, speed: str) -> None:
    """Picture, English on the first audio track and French on the second, and a time code from 10:00:00:00."""
    inputs = [_picture(shape), _sound(shape, TONES["en"]), _sound(shape, TONES["fr"])]
    colour = [f"-{what}" for what in ("color_primaries", "color_trc", "colorspace")]
    _run(
        [
            *(word for graph in inputs for word in ("-f", "lavfi", "-i", graph)),
            *(word for number in range(len(inputs)) for word in ("-map", str(number))),
            *("-c:v", "libx264", "-preset", speed, "-crf", "18", "-pix_fmt", "yuv420p"),
            *(word for flag in colour for word in (flag, "bt709")),
            *("-c:a", "pcm_s16le", "-timecode", "10:00:00:00"),
            *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"),
        ],
        path,
    )


def _dub(path: Path, shape: Shape, tone: int) -> None:
    """A file of its own, as studios send dubs: it begins with the programme, without a leader."""
    _run(["-f", "lavfi", "-i", _sound(shape, tone, leader=False), "-c:a", "pcm_s16le"], path)


def _run(arguments: list[str], path: Path) -> None:
    # Bit-exact: the same delivery has the same bytes, so that a second demo finds everything made.
    quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"]
    process.run([binary(), *quiet, *arguments, "-fflags", "+bitexact", str(path)])


def _picture(shape: Shape) -> str:
    """A filter graph: a moving test picture, bars before it, and over all the flash and the number."""
    shown = f"gte(n,{shape.base})"
    number = f"(n-{shape.base})"
    whole = (0, 0, shape.width, shape.height)
    return ",".join(
        [
            f"testsrc2=size={shape.width}x{shape.height}:rate={shape.rate}",
            "format=yuv420p",
            f"trim=end_frame={shape.frames}",
            _box(whole, "white", f"{shown}*not(mod({number},{shape.base}))"),
            *_code_row(shape, shown, number),
            *_digits(shape, shown, number),
            *_bars(shape),
        ]
    )


def _code_row(shape: Shape, shown: str, number: str) -> list[str]:
    bits = [f"bitand({number},{1 << bit})" for bit in reversed(range(BITS))]
    odd = "+".join(f"gt({bit},0)" for bit in bits)
    lit = ["1", "0", *bits, f"mod({odd},2)", "1"]
    edges = [round(cell * shape.width / CELLS) for cell in range(CELLS + 1)]
    height = round(shape.height / 10)
    return [
        _box((0, 0, shape.width, height), "black", shown),
        *(
            _box((left, 0, right - left, height), "white", f"{shown}*({on})")
            for left, right, on in zip(edges, edges[1:], lit, strict=False)
        ),
    ]


def _digits(shape: Shape, shown: str, number: str) -> list[str]:
    """The number in the middle of the picture, white on black."""
    unit = max(1, round(min(shape.height / 45, shape.width / 44)))
    width, height = (DIGITS * DIGIT_PITCH + 2) * unit, (DIGIT_HEIGHT + 4) * unit
    left, top = (shape.width - width) // 2, (shape.height - height) // 2
    boxes = [_box((left, top, width, height), "black", shown)]
    for place in range(DIGITS):
        digit = f"mod(floor({number}/{10 ** (DIGITS - 1 - place)}),10)"
        corner = left + (place * DIGIT_PITCH + 2) * unit
        for digits, (x, y, w, h) in SEGMENTS:
            mask = sum(1 << int(lit) for lit in digits)
            where = (corner + x * unit, top + round((y + 2) * unit), w * unit, h * unit)
            boxes.append(_box(where, "white", f"{shown}*bitand({mask},pow(2,{digit}))"))
    return boxes


def _bars(shape: Shape) -> list[str]:
    edges = [round(bar * shape.width / len(BARS)) for bar in range(len(BARS) + 1)]
    return [
        _box((left, 0, right - left, shape.height), colour, f"lt(n,{shape.base})")
        for left, right, colour in zip(edges, edges[1:], BARS, strict=False)
    ]


def _box(where: tuple[int, int, int, int], colour: str, shown: str) -> str:
    x, y, width, height = where
    return f"drawbox=x={x}:y={y}:w={width}:h={height}:color={colour}:t=fill:enable='{shown}'"


def _sound(shape: Shape, tone: int, *, leader: bool = True) -> str:
    """A filter graph: line-up tone for the leader, then the language's tone, and a beep from each flash on."""
    begin = float(shape.period) if leader else 0.0
    since = f"mod(t-{begin},{float(shape.period)})"
    programme = f"0.08*sin(2*PI*{tone}*(t-{begin}))+0.3*lt({since},{BEEP_SECONDS})*sin(2*PI*{BEEP}*{since})"
    samples = round((shape.seconds + leader) * shape.period * SAMPLE_RATE)
    return ",".join(
        [
            f"aevalsrc='if(lt(t,{begin}),0.1*sin(2*PI*{BEEP}*t),{programme})':s={SAMPLE_RATE}",
            f"atrim=end_sample={samples}",
            "pan=stereo|c0=c0|c1=c0",
        ]
    )


def _cues(shape: Shape) -> list[tuple[float, float]]:
    """From half past every other second, for a second."""
    return [(start + 0.5, min(start + 1.5, shape.seconds)) for start in range(0, shape.seconds, 2)]


def _srt(shape: Shape) -> str:
    """Times are counted from the mezzanine's first frame, as they are where nobody has said otherwise."""
    leader = float(shape.period)
    blocks = [
        f"{number}\n{_clock(a + leader, ',')} --> {_clock(b + leader, ',')}\nfr {_clock(a)} – {_clock(b)}\n"
        for number, (a, b) in enumerate(_cues(shape), 1)
    ]
    return "\n".join(blocks)


def _vtt(shape: Shape) -> str:
    """Times are counted from the programme's first frame."""
    blocks = [f"{_clock(a)} --> {_clock(b)}\nde {_clock(a)} – {_clock(b)}\n" for a, b in _cues(shape)]
    return "\n".join(["WEBVTT\n", *blocks])


def _clock(seconds: float, point: str = ".") -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{thousandths:03d}"


def _time_code(seconds: int) -> str:
    """Of the programme's second; the programme begins a second after 10:00:00:00."""
    total = 10 * 3600 + 1 + seconds
    return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}:00"


def _document(shape: Shape) -> str:
    fifth = max(1, shape.seconds // 5)
    return f"""\
episode = "avant-s01e01"
title = "Before the Bell"
preset = "quick"
original_language = "en"
in = "{_time_code(0)}"     # after a second of bars and line-up tone
out = "{_time_code(shape.seconds)}"

[mezzanine]
file = "mezzanine.mov"

[[audio]]
language = "en"
role = "original"
track = 1

[[audio]]
language = "fr"
track = 2

[[audio]]
language = "de"
file = "de.wav"
start = "{_time_code(0)}"  # this one has no leader

[[text]]
language = "fr"
file = "fr.srt"

[[text]]
language = "de"
file = "de.vtt"
start = "{_time_code(0)}"

[[chapters]]
kind = "intro"
from = "{_time_code(0)}"
to = "{_time_code(fifth)}"

[[chapters]]
kind = "ad-break"
from = "{_time_code(shape.seconds // 2)}"

[[chapters]]
kind = "credits"
from = "{_time_code(shape.seconds - fifth)}"
to = "{_time_code(shape.seconds)}"
title = "Made by nobody"
"""


def main(words: list[str] | None = None) -> int:
    """Synthesise into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.synthesise", description="Makes a delivery to try things on."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=25, help="length of the programme (default: 25)")
    asked = parser.parse_args(words)
    sys.stdout.write(f"{synthesise(asked.folder, asked.seconds)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

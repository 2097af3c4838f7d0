"""
Sources whose every frame and every sample can be told from every other, by machine.

The picture holds its own number in sixteen black or white cells over moving noise-free bands, so that encoders have
something to predict. Sound is made sample by sample.
"""

import hashlib
import subprocess
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from pipelines.source import Source

FFMPEG: str = imageio_ffmpeg.get_ffmpeg_exe()
BITS = 16
WIDTH, HEIGHT = 320, 180
RATE = 48_000

Samples = NDArray[np.float64]
Frames = NDArray[np.uint8]


def source(path: Path) -> Source:
    """What a delivery would know of `path`."""
    return Source(uri=str(path), size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def ffmpeg(*words: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run([FFMPEG, "-v", "error", "-y", *words], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def logged(*words: str) -> str:
    """What ffmpeg logs."""
    done = subprocess.run([FFMPEG, "-nostats", "-hide_banner", *words], capture_output=True, check=True)
    return done.stderr.decode()


def numbered(count: int, *, first: int = 0, flash_every: int = 0) -> Frames:
    """Grey frames that hold their numbers; every `flash_every`-th is white below them."""
    line = np.arange(WIDTH)[None, None, :] + 3 * np.arange(count)[:, None, None]
    frames = np.repeat(60 + line % 80, HEIGHT, axis=1).astype(np.uint8)
    if flash_every:
        frames[::flash_every] = 235
    numbers = np.arange(first, first + count)[:, None] >> np.arange(BITS - 1, -1, -1) & 1
    frames[:, : HEIGHT // 3] = np.repeat(np.where(numbers, 235, 16), WIDTH // BITS, axis=1)[:, None, :].astype(np.uint8)
    return frames


def numbers(frames: Frames) -> list[int]:
    """The numbers that decoded `frames`, of whatever size, hold."""
    count, height, width = frames.shape
    cells = frames[:, height // 12 : height // 4].reshape(count, -1, BITS, width // BITS)
    middle = cells[..., width // BITS // 4 : -(width // BITS // 4)].mean(axis=(1, 3))
    return [int(number) for number in (middle > 128) @ (1 << np.arange(BITS - 1, -1, -1))]


def film(path: Path, frames: Frames, rate: Fraction, *options: str) -> Path:
    """`frames` as a mezzanine."""
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    raw = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", str(rate), "-i", "-")
    ffmpeg(*raw, "-pix_fmt", "yuv420p", *options, str(path), stdin=frames.tobytes())
    return path


def decoded(path: Path, width: int, height: int) -> Frames:
    """Every frame that a decoder shows of `path`, in order: brightness alone."""
    raw = ffmpeg(
        *("-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-")
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


def tone(hertz: float, seconds: float, level: float = 0.25) -> Samples:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def beeps(seconds: float, hertz: float = 1000, length: float = 0.05) -> Samples:
    """A beep at the beginning of every second."""
    times = np.arange(round(seconds * RATE)) / RATE
    return np.where(times % 1 < length, 0.5 * np.sin(2 * np.pi * hertz * times), 0.0)


def sound(path: Path, channels: Sequence[Samples]) -> Path:
    """`channels` as a WAV file of 16 bits."""
    pcm = (np.stack(channels, axis=1).clip(-1, 1) * 32767).round().astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())
    return path


def heard(path: Path, channels: int) -> Samples:
    """Every sample that a decoder plays of `path`: one row for each channel."""
    raw = ffmpeg("-i", str(path), "-map", "0:a", "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, channels).T.astype(np.float64)

"""The demo's delivery is what it says: frames are numbered, seconds flash and beep, languages have their own tones."""

import subprocess
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.delivery import open_delivery
from pipelines.timecode import frame_number
from scripts.synthesise import BEEP, BITS, CELLS, SAMPLE_RATE, TONES, synthesise

SECONDS = 3
SIZE = (320, 180)


@pytest.fixture(scope="module", params=["25", "24000/1001"])
def delivery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fraction]:
    folder = tmp_path_factory.mktemp("delivery")
    return synthesise(folder, SECONDS, SIZE, request.param), Fraction(request.param)


def pictures(ffmpeg: str, path: Path) -> NDArray[np.uint8]:
    """Every frame of the file, in grey."""
    argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:v", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0])


def sound(ffmpeg: str, path: Path, track: int = 0) -> NDArray[np.float64]:
    """The left channel, from -1 to 1."""
    argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", f"0:a:{track}", "-f", "s16le", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    return np.frombuffer(raw, "<i2").reshape(-1, 2)[:, 0] / 32768


def bits(picture: NDArray[np.uint8]) -> list[int]:
    """The cells of the code row, sampled in their middles."""
    row = picture[round(SIZE[1] * 0.03) : round(SIZE[1] * 0.07)].mean(axis=0)
    return [int(row[round((cell + 0.5) * SIZE[0] / CELLS)] > 128) for cell in range(CELLS)]


def loudest(samples: NDArray[np.float64]) -> int:
    """The frequency that stands out, in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return round(int(spectrum.argmax()) * SAMPLE_RATE / len(samples))


def test_every_frame_holds_its_number(ffmpeg: str, delivery: tuple[Path, Fraction]) -> None:
    """From the programme's first frame on, the row reads 0, 1, 2 … between its marks, with even parity."""
    document, rate = delivery
    shown = pictures(ffmpeg, document.parent / "mezzanine.mov")
    assert len(shown) == (SECONDS + 1) * round(rate)
    read = [bits(picture) for picture in shown[round(rate) :]]
    assert [int("".join(map(str, row[2 : 2 + BITS])), 2) for row in read] == list(range(SECONDS * round(rate)))
    assert {(row[0], row[1], row[-1]) for row in read} == {(1, 0, 1)}
    assert {sum(row[2:-1]) % 2 for row in read} == {0}


def test_a_flash_each_second_lasts_one_frame(ffmpeg: str, delivery: tuple[Path, Fraction]) -> None:
    """The picture is white where nothing is written on it, on the first frame of each second only."""
    document, rate = delivery
    corner = pictures(ffmpeg, document.parent / "mezzanine.mov")[:, -10:].mean(axis=(1, 2))
    assert [frame for frame, light in enumerate(corner) if light > 230] == [
        (1 + second) * round(rate) for second in range(SECONDS)
    ]


def test_a_beep_starts_with_every_flash(ffmpeg: str, delivery: tuple[Path, Fraction]) -> None:
    """In every language, to a tenth of a millisecond or two periods of the beep."""
    document, rate = delivery
    period = round(rate) / rate
    heard = sound(ffmpeg, document.parent / "mezzanine.mov", 1)
    for second in range(SECONDS):
        flash = round((1 + second) * period * SAMPLE_RATE)
        assert np.abs(heard[flash - 480 : flash]).max() < 0.12
        assert np.abs(heard[flash : flash + 96]).max() > 0.25
        assert loudest(heard[flash : flash + 3840]) == pytest.approx(BEEP, abs=15)


def test_each_language_hums_its_tone(ffmpeg: str, delivery: tuple[Path, Fraction]) -> None:
    """From the first second to the last; the leader has a line-up tone instead, and the dub no leader."""
    document, rate = delivery
    period = round(rate) / rate
    tracks = {
        "en": (sound(ffmpeg, document.parent / "mezzanine.mov", 0), 1),
        "fr": (sound(ffmpeg, document.parent / "mezzanine.mov", 1), 1),
        "de": (sound(ffmpeg, document.parent / "de.wav"), 0),
    }
    for language, (heard, leader) in tracks.items():
        assert len(heard) == round((SECONDS + leader) * period * SAMPLE_RATE)
        if leader:
            assert loudest(heard[4800 : SAMPLE_RATE // 2]) == pytest.approx(BEEP, abs=3)
        for second in range(SECONDS):
            since = round((leader + second) * period * SAMPLE_RATE)
            assert loudest(heard[since + 7200 : since + 45600]) == pytest.approx(TONES[language], abs=2)


def test_the_document_is_a_delivery(delivery: tuple[Path, Fraction]) -> None:
    """What `episode.toml` says is accepted, and cuts exactly the leader."""
    document, rate = delivery
    opened = open_delivery(document)
    assert opened.programme_in
    assert opened.programme_out
    first, last = (frame_number(code, rate) for code in (opened.programme_in, opened.programme_out))
    assert first - frame_number("10:00:00:00", rate) == round(rate)
    assert last - first == SECONDS * round(rate)
    assert sorted(one.language for one in opened.audio) == sorted(TONES)
    assert {one.language for one in opened.text} == {"fr", "de"}


def test_the_same_delivery_has_the_same_bytes(delivery: tuple[Path, Fraction], tmp_path: Path) -> None:
    """Synthesised again, everything that was made of it is found again."""
    document, rate = delivery
    again = synthesise(tmp_path, SECONDS, SIZE, str(rate)).parent
    names = sorted(path.name for path in document.parent.iterdir())
    assert [(document.parent / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]
    with wave.open(str(again / "de.wav")) as dub:
        assert (dub.getnchannels(), dub.getframerate()) == (2, SAMPLE_RATE)

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from pipelines import loudness
from pipelines.cadence import AAC_FRAME, cadence
from pipelines.loudness import Measured
from presets.audio import AudioVariant, Loudness
from tests.media import synth
from tests.media.bench import SHORT, Bench, Film
from tests.media.synth import RATE, Samples

CUT = cadence(Fraction(24000, 1001), RATE, SHORT)
#: The first AAC frame, which has none before it, only fades in.
SETTLED = AAC_FRAME
TONES = {"en": 440, "fr": 554, "de": 659}


def spectrum(samples: Samples) -> dict[int, float]:
    """The level of each of our tones and a few others, over whole seconds of `samples`."""
    whole = samples[: len(samples) // RATE * RATE]
    levels = np.abs(np.fft.rfft(whole * np.hanning(len(whole)))) * 4 / len(whole)
    seconds = len(whole) // RATE
    return {hertz: float(levels[hertz * seconds]) for hertz in (60, 300, 400, 440, 500, 554, 659, 700, 800, 1000)}


def beginnings(loud: np.ndarray, quiet: int) -> list[int]:
    """Where `loud` becomes true after at least `quiet` false ones."""
    places = np.flatnonzero(loud)
    return [int(place) for n, place in enumerate(places) if n == 0 or place - places[n - 1] > quiet]


def measured(path: Path) -> Measured:
    """What ffmpeg's own meter says of a decoded file."""
    done = synth.logged("-i", str(path), "-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-")
    return loudness.parse(done)


def test_each_language_holds_its_own_tone_throughout(bench: Bench, tmp_path: Path) -> None:
    """In every second of its track, alone, with no other language's."""
    samples = 5 * RATE
    for language, hertz in TONES.items():
        source = synth.sound(tmp_path / f"{language}.wav", [synth.tone(hertz, 6)] * 2)
        sound = bench.encode_sound(synth.source(source), samples=samples)
        made = bench.package_sound(sound, samples=samples, cadence=CUT, language=language)
        heard = synth.heard(bench.played(made).whole, 2)
        for second in range(5):
            for channel in heard:
                levels = spectrum(channel[second * RATE : (second + 1) * RATE])
                assert [tone for tone, level in levels.items() if level > 0.01] == [hertz]
        assert (made.language, made.channels, made.sample_rate, made.codecs) == (language, 2, RATE, "mp4a.40.2")


def test_a_tone_runs_through_every_segment_without_a_seam(bench: Bench, tmp_path: Path) -> None:
    """Take the tone away, as it was at the beginning, and nothing is left: no gap, no click, no shift of phase."""
    samples = 6 * RATE
    source = synth.sound(tmp_path / "s.wav", [synth.tone(440, 7)] * 2)
    sound = bench.encode_sound(synth.source(source), samples=samples)
    made = bench.package_sound(sound, samples=samples, cadence=CUT)
    heard = synth.heard(bench.played(made).whole, 2)[0]
    assert len(made.segments) == 6
    times = 2 * np.pi * 440 * np.arange(samples) / RATE
    turning = 2j * heard[:samples] * np.exp(-1j * times)
    level = abs(np.mean(turning))
    left = np.abs(heard[:samples] - level * np.sin(times))[SETTLED:]
    assert level > 0.05
    assert left.max() < 0.1 * level  # AAC itself leaves 6 % of a pure tone; a gap would leave all of it
    for join in list(accumulate(segment.duration for segment in made.segments))[:-1]:
        # Forty-four whole cycles on each side; a lost or doubled sample would turn the phase by 0.058.
        before, after = (np.angle(np.mean(turning[start : start + 4800])) for start in (join - 4800, join))
        assert abs(after - before) < 0.01


@pytest.mark.parametrize("offset", [Fraction(0), Fraction(1, 3), Fraction(-1, 3), Fraction(1001, 24000)])
def test_flash_and_beep_stay_together(bench: Bench, tmp_path: Path, offset: Fraction) -> None:
    """Within 10 ms of the source's own offset, from the first second to the last, and both begin at zero."""
    rate = Fraction(25)
    cut = cadence(rate, RATE, SHORT)
    frames = 6 * 25 + 7
    picture = synth.film(
        tmp_path / "m.mov", synth.numbered(frames, flash_every=25), rate, "-c:v", "libx264", "-preset", "ultrafast"
    )
    video = bench.film(
        Film(source=synth.source(picture), demuxer="mov", cadence=cut, first_frame=0, frames=frames, heights=(90,))
    )[90]
    samples = round(frames / rate * RATE)
    beeps = synth.beeps(8)
    source = synth.sound(tmp_path / "s.wav", [beeps, beeps])
    sound = bench.encode_sound(synth.source(source), samples=samples, offset=offset)
    audio = bench.package_sound(sound, samples=samples, cadence=cut)
    seen, heard = bench.played(video), bench.played(audio)
    pictures = synth.decoded(seen.whole, 160, 90)[:, 45:]
    flashes = [place / rate for place in beginnings(pictures.mean(axis=(1, 2)) > 200, 5)]
    level = np.abs(synth.heard(heard.whole, 2)[0])
    starts = [Fraction(place, RATE) for place in beginnings(level > level.max() / 20, RATE // 4)]
    whole = [
        start for start in starts if (start - offset) % 1 < Fraction(1, 2) or (start - offset) % 1 > Fraction(49, 50)
    ]
    assert flashes == [Fraction(second) for second in range(7)]
    expected = [second + offset for second in range(-1, 7) if 0 <= second + offset < samples / RATE]
    assert [float(start) for start in whole] == pytest.approx([float(one) for one in expected], abs=0.010)
    for played in (seen, heard):
        first = played.fragments[0][0]
        assert first.decode_time + first.samples[0].composition == (played.header.media_time or 0)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50)])
def test_sound_is_as_long_as_the_picture(bench: Bench, tmp_path: Path, rate: Fraction) -> None:
    """Within one AAC frame, and cut where the picture is cut, within one AAC frame."""
    cut = cadence(rate, RATE, SHORT)
    frames = 3 * cut.segment + 5
    samples = round(frames / rate * RATE)
    source = synth.sound(tmp_path / "s.wav", [synth.tone(440, float(frames / rate) + 1)])
    sound = bench.encode_sound(synth.source(source), layout="mono", samples=samples)
    made = bench.package_sound(sound, samples=samples, cadence=cut)
    ends = [Fraction(end, RATE) for end in accumulate(segment.duration for segment in made.segments)]
    wanted = [min(number * cut.segment, frames) / rate for number in range(1, 5)]
    assert all(0 <= end - want < Fraction(AAC_FRAME, RATE) for end, want in zip(ends, wanted, strict=True))


def test_a_short_sound_ends_in_silence(bench: Bench, tmp_path: Path) -> None:
    """Nothing is stretched, looped or left out: what lacks is silent."""
    source = synth.sound(tmp_path / "s.wav", [synth.tone(440, 2)] * 2)
    sound = bench.encode_sound(synth.source(source), samples=4 * RATE)
    made = bench.package_sound(sound, samples=4 * RATE, cadence=CUT)
    heard = synth.heard(bench.played(made).whole, 2)
    assert heard.shape == (2, 188 * AAC_FRAME)
    assert np.abs(heard[:, RATE : 2 * RATE - 100]).max() > 0.05
    assert np.abs(heard[:, 2 * RATE + 2 * AAC_FRAME :]).max() < 0.001


@pytest.mark.parametrize(("level", "target"), [(0.02, -23.0), (0.9, -23.0), (0.1, -16.0), (0.3, -27.0)])
def test_a_programme_is_as_loud_as_asked(bench: Bench, tmp_path: Path, level: float, target: float) -> None:
    """Within 0.5 LU after decoding, and peaks are under the limit."""
    wave = synth.tone(440, 6, level) * (1 + 0.3 * np.sin(2 * np.pi * 0.5 * np.arange(6 * RATE) / RATE)) / 1.3
    source = synth.sound(tmp_path / "s.wav", [wave, wave])
    wanted = Loudness(target=target)
    made = bench.encode_sound(synth.source(source), samples=6 * RATE, loudness=wanted)
    path = tmp_path / "out.mp4"
    path.write_bytes(bench.fetch(made.key))
    found = measured(path)
    assert found.loudness == pytest.approx(target, abs=0.5)
    assert found.true_peak <= wanted.true_peak
    assert made.facts["loudness_out"] == pytest.approx(found.loudness, abs=0.1)


def test_peaks_stay_under_the_limit_even_if_the_programme_stays_quiet(bench: Bench, tmp_path: Path) -> None:
    """A whisper with shots in it can't be brought to the target: the shots would clip."""
    wave = synth.tone(440, 6, 0.01)
    wave[RATE // 2 :: RATE] = 0.9
    source = synth.sound(tmp_path / "s.wav", [wave, wave])
    made = bench.encode_sound(synth.source(source), samples=6 * RATE)
    path = tmp_path / "out.mp4"
    path.write_bytes(bench.fetch(made.key))
    assert measured(path).true_peak <= -1.0
    assert made.facts["loudness_out"] < -23.0


def test_silence_stays_silence(bench: Bench, tmp_path: Path) -> None:
    """Nothing is amplified that can't be measured."""
    source = synth.sound(tmp_path / "s.wav", [np.zeros(2 * RATE)] * 2)
    made = bench.encode_sound(synth.source(source), samples=2 * RATE)
    assert (made.facts["gain_db"], made.facts["true_peak"]) == (0.0, None)


SURROUND = (300, 400, 500, 60, 700, 800)


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [
        (AudioVariant(layout="5.1", bitrate=320_000), [[hertz] for hertz in SURROUND]),
        # Centre in both, surrounds on their own side, the low-frequency effects in neither.
        (AudioVariant(layout="stereo", bitrate=128_000), [[300, 500, 700], [400, 500, 800]]),
    ],
    ids=["5.1", "stereo"],
)
def test_every_channel_is_where_it_belongs(
    bench: Bench, tmp_path: Path, variant: AudioVariant, wanted: list[list[int]]
) -> None:
    """Six loudspeakers, six tones: each comes out of its own, or of the side that it is folded to."""
    source = synth.sound(tmp_path / "s.wav", [synth.tone(hertz, 4, 0.1) for hertz in SURROUND])
    sound = bench.encode_sound(synth.source(source), layout="5.1", variant=variant, samples=3 * RATE)
    made = bench.package_sound(sound, samples=3 * RATE, cadence=CUT)
    heard = synth.heard(bench.played(made).whole, len(wanted))[:, RATE : 2 * RATE]
    found = [[hertz for hertz, level in spectrum(channel).items() if level > 0.01] for channel in heard]
    assert found == wanted
    assert made.channels == len(wanted)
    if variant.layout == "stereo":
        levels = spectrum(heard[0])
        assert levels[500] / levels[300] == pytest.approx(0.7071, abs=0.05)


def test_a_single_channel_comes_from_both_sides(bench: Bench, tmp_path: Path) -> None:
    """Equally loud, not from the left alone."""
    source = synth.sound(tmp_path / "s.wav", [synth.tone(440, 3)])
    sound = bench.encode_sound(synth.source(source), layout="mono", samples=2 * RATE)
    made = bench.package_sound(sound, samples=2 * RATE, cadence=CUT)
    left, right = synth.heard(bench.played(made).whole, 2)
    assert spectrum(left)[440] == pytest.approx(spectrum(right)[440], rel=0.01)

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines import audio
from pipelines.audio import AudioJob
from pipelines.downmix import pan
from pipelines.errors import DeliveryError, ToolError
from pipelines.loudness import Measured, gain, parse
from pipelines.source import Source
from pipelines.tools.ffmpeg import binary
from presets.audio import AudioVariant, Loudness

JOB = AudioJob(
    digest="aa" * 32,
    source=Source(uri="/in/fr.wav", size=1, sha256="00" * 32),
    demuxer="wav",
    stream=0,
    layout="stereo",
    offset=Fraction(0),
    samples=100_000,
    sample_rate=48_000,
    variant=AudioVariant(bitrate=128_000),
    loudness=Loudness(),
)
SUMMARY = """
[Parsed_ebur128_6 @ 0x55] Summary:
  Integrated loudness:
    I:         -11.1 LUFS
    Threshold: -21.1 LUFS
  Loudness range:
    LRA:         0.0 LU
    LRA low:     0.0 LUFS
  True peak:
    Peak:       -5.2 dBFS
"""


def graph(job: AudioJob) -> list[str]:
    words = audio.command(job, "/in/fr.wav", -3.0, Path("/out/fr.mp4"))
    parts = words[words.index("-filter_complex") + 1].split(";")
    return [part.partition("]")[2].rpartition("[")[0] for part in parts]


def test_the_whole_command() -> None:
    """What runs is a value: nothing is added to it later."""
    assert audio.command(JOB, "/in/fr.wav", -3.0, Path("/out/fr.mp4")) == [
        *(binary(), "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror", "-progress", "pipe:1", "-nostats"),
        *("-filter_complex_threads", "1"),
        *("-f", "wav", "-err_detect", "explode", "-max_alloc", "1073741824", "-max_pixels", "35389440"),
        *("-max_streams", "128", "-protocol_whitelist", "file", "-i", "/in/fr.wav"),
        "-filter_complex",
        (
            "[0:0]aresample=48000[s0];[s0]asettb=expr=1/48000[s1];[s1]asetpts=N[s2];[s2]aformat=sample_fmts=fltp[s3];"
            r"[s3]pan=args=stereo|c0\\=1.000000*c0|c1\\=1.000000*c1[s4];"
            "[s4]apad=whole_len=100000[s5];[s5]atrim=end_sample=100000[s6];"
            "[s6]volume=-3.00dB:precision=double[s7];[s7]apad=whole_len=100352[s8]"
        ),
        *("-map", "[s8]", "-f", "mp4", "-b:a", "128000", "-bsf:a", "noise=drop='eq(n,0)'", "-c:a", "aac"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-frag_duration", "2000000"),
        *("-map_chapters", "-1", "-map_metadata", "-1"),
        *("-movflags", "+empty_moov+delay_moov+default_base_moof", "-profile:a", "aac_low", "-use_editlist", "0"),
        *("/out/fr.mp4", "-y"),
    ]


def test_what_is_measured_is_what_is_encoded() -> None:
    """The meter hears the same samples, before the gain."""
    words = audio.measurement(JOB, "/in/fr.wav")
    measured = words[words.index("-filter_complex") + 1].split(";")
    assert [part.partition("]")[2].rpartition("[")[0] for part in measured[:7]] == graph(JOB)[:7]
    assert measured[7].startswith("[s6]ebur128=")


def test_sound_that_begins_late_is_preceded_by_silence() -> None:
    """In samples: 1/3 s is 16,000."""
    assert "adelay=16000S:all=1" in graph(replace(JOB, offset=Fraction(1, 3)))


def test_sound_that_begins_early_is_cut() -> None:
    """In samples, and the rest begins at zero."""
    parts = graph(replace(JOB, offset=Fraction(-1, 3)))
    assert parts[parts.index("atrim=start_sample=16000") + 1] == "asetpts=N"


@pytest.mark.parametrize(("samples", "packets"), [(1, 1), (1024, 1), (1025, 2), (100_000, 98)])
def test_a_started_aac_frame_is_a_whole_one(samples: int, packets: int) -> None:
    """The picture's end is never without sound."""
    assert audio.packets(samples) == packets


@pytest.mark.parametrize(
    ("layout", "target", "matrix"),
    [
        ("mono", "stereo", "stereo|c0=1.000000*c0|c1=1.000000*c0"),
        ("stereo", "stereo", "stereo|c0=1.000000*c0|c1=1.000000*c1"),
        (
            "5.1(side)",
            "stereo",
            "stereo|c0=0.414216*c0+0.292892*c2+0.292892*c4|c1=0.414216*c1+0.292892*c2+0.292892*c5",
        ),
        (
            "5.1",
            "5.1",
            "5.1|c0=1.000000*c0|c1=1.000000*c1|c2=1.000000*c2|c3=1.000000*c3|c4=1.000000*c4|c5=1.000000*c5",
        ),
    ],
)
def test_every_channel_goes_where_it_belongs(layout: str, target: str, matrix: str) -> None:
    """ITU-R BS.775, scaled so that six full channels do not clip."""
    assert pan(layout, "5.1" if target == "5.1" else "stereo") == matrix


def test_an_unknown_layout_is_refused() -> None:
    """No channel is guessed."""
    with pytest.raises(DeliveryError, match="The channel layout `octagonal` is not known"):
        pan("octagonal", "stereo")


def test_the_meter_is_read() -> None:
    """Integrated loudness and true peak; thresholds and ranges are not mistaken for them."""
    assert parse(SUMMARY) == Measured(loudness=-11.1, true_peak=-5.2)
    assert parse(SUMMARY.replace("-11.1 LUFS", "-70.0 LUFS").replace("-5.2", "-inf")).silent
    with pytest.raises(ToolError, match="gave no summary"):
        parse("size=N/A time=00:00:01.00")


@pytest.mark.parametrize(
    ("loudness", "peak", "expected"),
    [
        (-20.0, -6.0, -3.0),
        (-30.0, -15.0, 7.0),
        (-30.0, -5.0, 4.0),  # 7 dB would lift the peak over −1 dBTP
        (-24.0, 0.5, -1.5),
        (-70.0, -60.0, 0.0),
        (float("nan"), float("-inf"), 0.0),
    ],
)
def test_one_gain_meets_the_target_unless_peaks_forbid(loudness: float, peak: float, expected: float) -> None:
    """As loud as asked, never over the peak limit; silence is left alone."""
    assert gain(Measured(loudness=loudness, true_peak=peak), Loudness()) == pytest.approx(expected)

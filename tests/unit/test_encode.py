from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.encode import EncodeJob, RungEncode, command
from pipelines.source import Source
from pipelines.tools.ffmpeg import binary
from presets.ladder import Rung

RUNG = Rung(height=360, bitrate=365_000, maxrate=650_000, bufsize=1_000_000, crf=25.0, profile="main")
JOB = EncodeJob(
    source=Source(uri="/in/m.mov", size=1, sha256="00" * 32),
    demuxer="mov",
    stream=1,
    pixels=1920 * 1080,
    frame_rate=Fraction(24000, 1001),
    rotation=0,
    first_frame=240,
    frames=96,
    gop=48,
    speed="veryfast",
    rungs=(RungEncode(digest="aa" * 32, rung=RUNG, width=640, height=360),),
)


def written(job: EncodeJob) -> list[str]:
    return command(job, "/in/m.mov", [Path(f"/out/{rung.height}.mp4") for rung in job.rungs])


def graph(job: EncodeJob) -> list[str]:
    words = written(job)
    return words[words.index("-filter_complex") + 1].split(";")


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_the_whole_command() -> None:
    """What runs is a value: nothing is added to it later."""
    assert written(JOB) == [
        *(binary(), "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror", "-progress", "pipe:1", "-nostats"),
        *("-filter_complex_threads", "1"),
        *("-f", "mov", "-display_rotation", "0", "-enable_drefs", "0", "-max_alloc", "1073741824"),
        *("-max_pixels", "35389440", "-max_streams", "128", "-protocol_whitelist", "file", "-ss", "8.988146"),
        *("-threads", "4", "-use_absolute_path", "0", "-i", "/in/m.mov"),
        "-filter_complex",
        (
            "[0:1]trim=start=1.001000[s0];[s0]settb=expr=1001/24000[s1];[s1]setpts=N[s2];[s2]trim=end_frame=96[s3];"
            "[s3]fps=24000/1001[s4];"
            "[s4]scale=640:360:flags=lanczos:in_color_matrix=bt709:out_color_matrix=bt709:out_range=tv[s5];"
            "[s5]format=yuv420p[s6];[s6]setsar=1[s7];"
            "[s7]setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv[s8]"
        ),
        *("-map", "[s8]", "-f", "mp4", "-a53cc", "0", "-bf", "3", "-bsf:v", "filter_units=remove_types=6"),
        *("-bufsize", "1000000", "-c:v", "libx264", "-color_primaries", "bt709", "-color_range", "tv"),
        *("-color_trc", "bt709", "-colorspace", "bt709", "-crf", "25.0", "-fflags", "+bitexact"),
        *("-flags:v", "+bitexact", "-fps_mode", "passthrough", "-g", "48", "-keyint_min", "48"),
        *("-map_chapters", "-1", "-map_metadata", "-1", "-maxrate", "650000"),
        *("-movflags", "+frag_keyframe+empty_moov+delay_moov+default_base_moof", "-preset", "veryfast"),
        *("-profile:v", "main", "-sc_threshold", "0", "-threads", "1", "-video_track_timescale", "24000"),
        *("-write_tmcd", "0", "-x264-params", "open-gop=0", "/out/360.mp4", "-y"),
    ]


def test_the_beginning_of_a_file_is_not_sought() -> None:
    """The first chunk starts where the file does, whatever its first time stamp is."""
    job = replace(JOB, first_frame=0)
    assert "-ss" not in written(job)
    assert graph(job)[0] == "[0:1]settb=expr=1001/24000[s0]"


def test_frames_near_the_beginning_are_counted_from_it() -> None:
    """Where there is no room for a pre-roll, decoding starts with the file."""
    job = replace(JOB, first_frame=10, frame_rate=Fraction(25), lead=Fraction(1, 25))
    assert "-ss" not in written(job)
    assert graph(job)[0] == "[0:1]trim=start=0.420000[s0]"


def test_a_picture_that_begins_late_is_sought_later() -> None:
    """Seeks count from the file's beginning: a picture 80 ms behind its sound is found 80 ms later."""
    late = replace(JOB, lead=Fraction(2, 25))
    assert float(after(written(late), "-ss")) == pytest.approx(float(after(written(JOB), "-ss")) + 0.08)
    assert graph(late)[0] == graph(JOB)[0]


@pytest.mark.parametrize(
    ("rotation", "filters"),
    [(0, []), (90, ["transpose=clock"]), (180, ["hflip", "vflip"]), (270, ["transpose=cclock"])],
)
def test_a_picture_is_turned_upright_once(rotation: int, filters: list[str]) -> None:
    """By the plan's angle and not by the file's, which is switched off."""
    job = replace(JOB, rotation=rotation)
    found = [part.partition("]")[2].partition("[")[0] for part in graph(job)]
    assert [one for one in found if one.startswith(("transpose", "hflip", "vflip"))] == filters
    assert after(written(job), "-display_rotation") == "0"


def test_the_source_is_decoded_once_for_all_rungs() -> None:
    """One input, one split, one output for each rung."""
    rungs = tuple(RungEncode(digest=f"{n}a" * 32, rung=RUNG, width=n * 160, height=n * 90) for n in (1, 2, 3))
    words = written(replace(JOB, rungs=rungs))
    assert words.count("-i") == 1
    assert [part for part in graph(replace(JOB, rungs=rungs)) if "split" in part] == ["[s4]split=3[s5][s6][s7]"]
    assert [word for word in words if word.endswith(".mp4")] == ["/out/90.mp4", "/out/180.mp4", "/out/270.mp4"]


def test_the_baseline_profile_has_no_b_frames() -> None:
    """Its decoders know none."""
    rung = RungEncode(digest="aa" * 32, rung=RUNG.model_copy(update={"profile": "baseline"}), width=160, height=90)
    assert after(written(replace(JOB, rungs=(rung,))), "-bf") == "0"


def test_an_object_is_read_over_loopback_and_nothing_else() -> None:
    """A source in a store is a loopback address; files stay closed."""
    words = command(JOB, "http://127.0.0.1:1234/abc", [Path("/out/360.mp4")])
    assert after(words, "-protocol_whitelist") == "http,tcp"

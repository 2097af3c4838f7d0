from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from pipelines import encode
from pipelines.cadence import Cadence, cadence, segments
from pipelines.errors import ToolError
from pipelines.layout import PRIVATE
from pipelines.measured import Matrix
from pipelines.tools.s3 import Upload
from pipelines.tools.supply import identify
from pipelines.track import VideoTrack
from presets.packaging import Packaging
from tests.media import synth
from tests.media.bench import SHORT, Bench, Film

RATES = {"23.976": Fraction(24000, 1001), "25": Fraction(25), "29.97": Fraction(30000, 1001), "50": Fraction(50)}
GOPS = {
    # Every group can be decoded alone.
    "closed": ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "14", "-x264-params", "open-gop=0"),
    # The first B-frames of a group refer to the group before.
    "open": ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "14", "-x264-params", "open-gop=1"),
}
#: The programme: behind a leader, and no multiple of a chunk, a segment or a group of pictures.
LEADER = 7
HEIGHTS = (90, 144)


def film(path: Path, cut: Cadence, options: tuple[str, ...]) -> Film:
    frames = 2 * cut.chunk + cut.gop + 5
    total = LEADER + frames + 3
    source = synth.film(path, synth.numbered(total), cut.frame_rate, *options)
    return Film(
        source=synth.source(source),
        demuxer="mov",
        cadence=cut,
        first_frame=LEADER,
        frames=frames,
        heights=HEIGHTS,
    )


def shown(bench: Bench, made: VideoTrack) -> list[int]:
    """The numbers of the frames that a player shows of a track, in order."""
    return synth.numbers(synth.decoded(bench.played(made).whole, made.width, made.height))


@pytest.mark.parametrize("gops", GOPS)
@pytest.mark.parametrize("rate", RATES)
def test_every_frame_is_in_every_rung_exactly_once(bench: Bench, tmp_path: Path, rate: str, gops: str) -> None:
    """In order, from the programme's first to its last, and rungs are cut at the same instants, on IDR pictures."""
    programme = film(tmp_path / "m.mov", cadence(RATES[rate], 48_000, SHORT), GOPS[gops])
    cut = programme.cadence
    tracks = bench.film(programme)
    wanted = list(range(LEADER, LEADER + programme.frames))
    for made in tracks.values():
        played = bench.played(made)
        assert synth.numbers(synth.decoded(played.whole, made.width, made.height)) == wanted
        starts = [fragments[0].decode_time for fragments in played.fragments]
        assert starts == list(
            range(0, programme.frames * cut.frame_rate.denominator, cut.segment * RATES[rate].denominator)
        )
        assert made.timescale == RATES[rate].numerator
        assert all(fragment.samples[0].sync for fragments in played.fragments for fragment in fragments)
        assert played.fragments[0][0].samples[0].composition == (played.header.media_time or 0)
    assert len({tuple(one.duration for one in made.segments) for made in tracks.values()}) == 1
    assert len(made.segments) == segments(programme.frames, cut)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m.mkv", GOPS["open"]),
        ("m.mxf", ("-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-b:v", "4M")),
        ("m.mov", ("-c:v", "libx265", "-x265-params", "log-level=none:open-gop=1:keyint=14:bframes=4")),
        ("m.mov", ("-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-b:v", "4M")),
    ],
    ids=["h264-mkv", "mpeg2-mxf", "hevc-mov", "mpeg2-mov"],
)
def test_chunks_can_begin_at_any_frame(bench: Bench, tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    """Also between the I-frame of an open group and the B-frames shown before it, in every container we take."""
    demuxer = {"mkv": "matroska"}.get(name[2:], name[2:])
    source = synth.source(synth.film(tmp_path / name, synth.numbered(90), Fraction(25), *options))
    cut = Cadence(frame_rate=Fraction(25), gop=2, segment=2, chunk=2)
    for first in range(46, 61):
        programme = Film(source=source, demuxer=demuxer, cadence=cut, first_frame=first, frames=2, heights=(90,))
        (job,) = programme.jobs()
        artifact = bench.keep(encode.make(job, bench.workspace()))
        chunk = tmp_path / f"{first}.mp4"
        chunk.write_bytes(bench.fetch(artifact.key))
        assert synth.numbers(synth.decoded(chunk, 160, 90)) == [first, first + 1]


def test_a_picture_that_begins_after_its_sound_loses_no_frame(bench: Bench, tmp_path: Path) -> None:
    """Seeks count from the file's beginning, which here is 120 ms before the first frame."""
    plain = synth.film(tmp_path / "plain.mov", synth.numbered(100), Fraction(25), *GOPS["open"])
    sound = synth.sound(tmp_path / "s.wav", [synth.tone(440, 5)])
    late = tmp_path / "late.mov"
    inputs = ("-itsoffset", "0.12", "-i", str(plain), "-i", str(sound))
    synth.ffmpeg(*inputs, "-c:v", "copy", "-c:a", "pcm_s16le", "-map", "0:v", "-map", "1:a", str(late))
    programme = Film(
        source=synth.source(late),
        demuxer="mov",
        cadence=Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=48),
        first_frame=0,
        frames=100,
        heights=(90,),
        lead=Fraction(3, 25),
    )
    assert shown(bench, bench.film(programme)[90]) == list(range(100))


def test_a_turned_picture_is_shown_upright(bench: Bench, tmp_path: Path) -> None:
    """A film shot on its side comes out as a player would show it, and is not turned again."""
    upright = synth.film(tmp_path / "upright.mov", synth.numbered(24), Fraction(25), *GOPS["closed"])
    turned, source = tmp_path / "turned.mov", tmp_path / "source.mov"
    synth.ffmpeg("-i", str(upright), "-vf", "transpose=cclock", *GOPS["closed"], str(turned))
    synth.ffmpeg("-display_rotation", "-90", "-i", str(turned), "-c", "copy", str(source))
    programme = Film(
        source=synth.source(source),
        demuxer="mov",
        cadence=Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=24),
        first_frame=0,
        frames=24,
        heights=(90,),
        rotation=90,
    )
    made = bench.film(programme)[90]
    assert (made.width, made.height) == (160, 90)
    assert shown(bench, made) == list(range(24))


def test_a_source_in_a_store_is_read_where_it_is(bench: Bench, tmp_path: Path) -> None:
    """By range and over loopback: a chunk from its middle is the same as from a file."""
    path = synth.film(tmp_path / "m.mov", synth.numbered(100), Fraction(25), *GOPS["open"])
    store = bench.workspace().store
    key = "deliveries/m.mov"
    store.put_once(Upload(key=key, body=path, content_type="video/quicktime", cache_control=PRIVATE))
    cut = Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=24)
    programme = Film(
        source=identify(f"s3://{store.bucket}/{key}", store),
        demuxer="mov",
        cadence=cut,
        first_frame=50,
        frames=24,
        heights=(90,),
    )
    assert shown(bench, bench.film(programme)[90]) == list(range(50, 74))


@pytest.mark.parametrize(
    ("tags", "matrix", "expected"),
    [
        # Untagged, as high definition often is: nothing is converted.
        ((), "bt709", (100, 90, 180)),
        # What BT.601 calls this red has other components in BT.709.
        (("-colorspace", "smpte170m"), "bt601", (91, 95, 178)),
        # Full range is brought to the range that all players take it for.
        (("-color_range", "pc", "-colorspace", "bt709"), "bt709", (102, 94, 174)),
    ],
    ids=["untagged", "bt601", "full-range"],
)
def test_colours_stay_what_they_were(
    bench: Bench, tmp_path: Path, tags: tuple[str, ...], matrix: Matrix, expected: tuple[int, int, int]
) -> None:
    """Whatever the source's matrix and range are, the picture's are BT.709 and limited, in fact and by its tags."""
    path = tmp_path / "m.mov"
    picture = b"".join(bytes([level]) * size for level, size in ((100, 320 * 180), (90, 160 * 90), (180, 160 * 90)))
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x180", "-r", "25", *tags, "-i", "-")
    synth.ffmpeg(*raw, "-c:v", "libx264", "-qp", "1", *tags, str(path), stdin=picture * 12)
    programme = Film(
        source=synth.source(path),
        demuxer="mov",
        cadence=Cadence(frame_rate=Fraction(25), gop=12, segment=12, chunk=12),
        first_frame=0,
        frames=12,
        heights=(90,),
    )
    (job,) = programme.jobs()
    artifact = bench.keep(encode.make(replace(job, matrix=matrix), bench.workspace()))
    chunk = tmp_path / "chunk.mp4"
    chunk.write_bytes(bench.fetch(artifact.key))
    shown = synth.ffmpeg("-i", str(chunk), "-frames:v", "1", "-f", "rawvideo", "-")
    assert [shown[0], shown[160 * 90], shown[160 * 90 + 80 * 45]] == pytest.approx(expected, abs=2)
    assert "yuv420p(tv, bt709, progressive)" in synth.logged("-i", str(chunk), "-f", "null", "-")


def test_a_chunk_of_another_length_is_refused(bench: Bench, tmp_path: Path) -> None:
    """A source that ends too early does not make a shorter programme."""
    source = synth.source(synth.film(tmp_path / "m.mov", synth.numbered(40), Fraction(25), *GOPS["closed"]))
    cut = Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=48)
    programme = Film(source=source, demuxer="mov", cadence=cut, first_frame=0, frames=48, heights=(90,))
    with pytest.raises(ToolError, match=r"^90-[0-9a-f]{8}\.mp4 holds 40 frames instead of 48\.$"):
        bench.encode(programme)
    assert not bench.made


def test_a_damaged_source_is_not_patched_over(bench: Bench, tmp_path: Path) -> None:
    """By default ffmpeg conceals what is missing, and exits 0."""
    path = synth.film(tmp_path / "m.mov", synth.numbered(48), Fraction(25), *GOPS["closed"])
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    cut = Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=48)
    programme = Film(source=synth.source(path), demuxer="mov", cadence=cut, first_frame=0, frames=48, heights=(90,))
    with pytest.raises(ToolError):
        bench.encode(programme)
    assert not bench.made


def test_chunks_are_as_good_as_one_run(bench: Bench, tmp_path: Path) -> None:
    """The frames on both sides of a join are as near to the source as any other."""
    cut = Cadence(frame_rate=Fraction(25), gop=12, segment=24, chunk=24)
    frames = synth.numbered(96)
    source = synth.source(synth.film(tmp_path / "m.mov", frames, Fraction(25), "-c:v", "libx264", "-qp", "8"))
    heights = (synth.HEIGHT,)
    programme = Film(source=source, demuxer="mov", cadence=cut, first_frame=0, frames=96, heights=heights)
    whole = replace(
        programme,
        cadence=replace(cut, chunk=96),
        source=source.__class__(uri=source.uri, size=source.size, sha256="11" * 32),
    )
    errors = []
    for each in (programme, whole):
        made = bench.film(each)[synth.HEIGHT]
        decoded = synth.decoded(bench.played(made).whole, synth.WIDTH, synth.HEIGHT)
        errors.append(((decoded.astype(float) - frames) ** 2).mean(axis=(1, 2)))
    seams = [frame for join in (24, 48, 72) for frame in range(join - 2, join + 3)]
    assert max(errors[0][seams]) < 1.5 * max(errors[1]) + 1


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_forty_minutes_do_not_drift(bench: Bench, tmp_path: Path) -> None:
    """All segments but the last are equal, and end where their sound does."""
    rate = Fraction(24000, 1001)
    cut = cadence(rate, 48_000, Packaging())
    frames = 40 * 60 * 24 + 17
    source = tmp_path / "m.mov"
    pattern = f"testsrc2=s=64x36:r=24000/1001:d={float(frames / rate) + 1}"
    synth.ffmpeg(
        "-f", "lavfi", "-i", pattern, "-frames:v", str(frames), "-c:v", "libx264", "-preset", "ultrafast", str(source)
    )
    programme = Film(
        source=synth.source(source), demuxer="mov", cadence=cut, first_frame=0, frames=frames, heights=(36,)
    )
    video = bench.film(programme)[36]
    assert {segment.duration for segment in video.segments[:-1]} == {144 * 1001}
    assert sum(segment.duration for segment in video.segments) == frames * 1001
    samples = round(frames / rate * 48_000)
    wave = np.zeros(samples)
    wave[-24_000:-12_000] = synth.tone(1000, 0.25)
    mono = synth.sound(tmp_path / "s.wav", [wave])
    sound = bench.encode_sound(synth.source(mono), layout="mono", samples=samples)
    audio = bench.package_sound(sound, samples=samples, cadence=cut)
    assert len(audio.segments) == len(video.segments)
    ends = zip(
        accumulate(Fraction(segment.duration, video.timescale) for segment in video.segments),
        accumulate(Fraction(segment.duration, audio.timescale) for segment in audio.segments),
        strict=True,
    )
    assert all(0 <= heard - seen < Fraction(1024, 48_000) for seen, heard in ends)
    heard = np.abs(synth.heard(bench.played(audio).whole, 2)[0])
    assert int(np.argmax(heard > heard.max() / 20)) == pytest.approx(samples - 24_000, abs=480)

import hashlib
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines import track
from pipelines.cadence import cadence
from pipelines.errors import Interrupted, ToolError
from pipelines.layout import IFRAME_PLAYLIST, IMMUTABLE, INIT, MEDIA_PLAYLIST, PRIVATE, content_type
from pipelines.track import VideoTrack
from tests.media import synth
from tests.media.bench import SHORT, Bench, Film

RATE = Fraction(24000, 1001)
CUT = cadence(RATE, 48_000, SHORT)
FRAMES = CUT.chunk + 2 * CUT.gop + 1


@pytest.fixture
def programme(tmp_path: Path) -> Film:
    options = ("-c:v", "libx264", "-preset", "ultrafast")
    source = synth.film(tmp_path / "m.mov", synth.numbered(FRAMES), RATE, *options)
    return Film(source=synth.source(source), demuxer="mov", cadence=CUT, first_frame=0, frames=FRAMES, heights=(90,))


@pytest.fixture
def made(bench: Bench, programme: Film) -> VideoTrack:
    return bench.film(programme)[90]


def test_the_inventory_is_what_is_there(bench: Bench, made: VideoTrack) -> None:
    """Every object of the track, in the order of writing, with its size and sha256; and no other."""
    workspace = bench.workspace()
    artifact = bench.made[made.digest]
    body = bench.fetch(workspace.names.inventory(made.digest))
    listed = json.loads(body)["objects"]
    assert hashlib.sha256(body).hexdigest() == artifact.sha256
    assert sorted(one["key"] for one in listed) == sorted(workspace.store.keys(made.prefix))
    names = [one["key"].removeprefix(made.prefix) for one in listed]
    assert names == [*(f"{n:05d}.m4s" for n in range(1, 5)), INIT, MEDIA_PLAYLIST, IFRAME_PLAYLIST]
    for one in listed:
        content = bench.fetch(one["key"])
        assert (one["size"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert artifact.size == sum(one["size"] for one in listed)


def test_objects_say_what_they_are_and_for_how_long(bench: Bench, made: VideoTrack) -> None:
    """What viewers get never changes; what is ours no cache may keep."""
    workspace = bench.workspace()
    for key in workspace.store.keys(made.prefix):
        head = workspace.store.head(key)
        assert head
        assert (head.content_type, head.cache_control) == (content_type(key), IMMUTABLE)
    private = workspace.store.head(workspace.names.inventory(made.digest))
    assert private
    assert private.cache_control == PRIVATE


def test_packaging_again_is_harmless(bench: Bench, programme: Film, made: VideoTrack) -> None:
    """The same bytes come out, so the store takes them for the ones it has."""
    (again,) = track.make(programme.package(90), bench.workspace())
    assert again == bench.made[made.digest]


def test_the_media_playlist_names_every_segment(bench: Bench, made: VideoTrack) -> None:
    """With exact lengths that add up to the programme, and the cadence's target duration."""
    text = bench.fetch(made.prefix + MEDIA_PLAYLIST).decode()
    lengths = [Fraction(one) for one in re.findall(r"#EXTINF:([\d.]+),", text)]
    assert lengths[:3] == [Fraction(1001, 1000)] * 3
    assert float(sum(lengths)) == pytest.approx(float(FRAMES / RATE), abs=1e-5)
    assert re.findall(r"^\d+\.m4s$", text, re.MULTILINE) == [f"{n:05d}.m4s" for n in range(1, 5)]
    assert f"#EXT-X-TARGETDURATION:{CUT.target_duration}\n" in text


def test_every_key_frame_can_be_fetched_alone(bench: Bench, made: VideoTrack, tmp_path: Path) -> None:
    """The init segment and one range of bytes make one picture: the first of its group."""
    text = bench.fetch(made.prefix + IFRAME_PLAYLIST).decode()
    ranges = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)\n(.+)", text)
    init = bench.fetch(made.prefix + INIT)
    numbers = []
    for length, start, name in ranges:
        alone = tmp_path / "alone.mp4"
        segment = bench.fetch(made.prefix + name)
        alone.write_bytes(init + segment[int(start) : int(start) + int(length)])
        numbers += synth.numbers(synth.decoded(alone, made.width, made.height)[:1])
    assert numbers == list(range(0, FRAMES, CUT.gop))
    bits = 8 * sum(int(length) for length, _, _ in ranges)
    assert made.iframe_average == pytest.approx(bits / float(FRAMES / RATE), rel=0.001)
    assert made.iframe_average < made.iframe_peak


def test_what_the_packager_says_of_a_track_is_kept(made: VideoTrack, bench: Bench) -> None:
    """Codecs as manifests name them, and the tool that made it."""
    assert re.fullmatch(r"avc1\.[0-9a-f]{6}", made.codecs)
    assert (made.width, made.height, made.frame_rate, made.timescale) == (160, 90, RATE, 24000)
    assert re.match(r"v3\.", bench.made[made.digest].facts["tools"]["packager"])


def test_nothing_is_published_of_chunks_that_do_not_fit(bench: Bench, programme: Film) -> None:
    """A chunk that is not the one that was planned stops the track before its first segment is written."""
    bench.encode(programme)
    job = programme.package(90)
    with pytest.raises(ToolError, match="samples instead of"):
        track.make(replace(job, lengths=(job.lengths[0], job.lengths[1] - 1)), bench.workspace())
    workspace = bench.workspace()
    assert list(workspace.store.keys("t/")) == []


def test_work_that_no_longer_counts_is_dropped(bench: Bench, programme: Film) -> None:
    """A lost lease ends the step where it is; nothing is published."""
    bench.encode(programme)

    def lost(_share: float) -> None:
        raise Interrupted("The lease was lost.")

    with pytest.raises(Interrupted):
        track.make(programme.package(90), replace(bench.workspace(), watch=lost))
    assert list(bench.workspace().store.keys("t/")) == []

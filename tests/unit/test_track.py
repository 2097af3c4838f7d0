from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.cadence import AAC_FRAME, Cadence
from pipelines.errors import ToolError
from pipelines.fmp4 import Defaults, Fragment, Header, Sample
from pipelines.layout import IMMUTABLE, PRIVATE, Names
from pipelines.publish import File, Published, publish
from pipelines.thumbnails import ThumbnailJob, index
from pipelines.tools import packager
from pipelines.tools.s3 import Store, Upload, Written
from pipelines.track import PackageJob, Piece, check, key_frames
from pipelines.wire import canonical
from pipelines.workspace import Workspace
from presets.packaging import Thumbnails

CADENCE = Cadence(frame_rate=Fraction(24000, 1001), gop=4, segment=8, chunk=16)
VIDEO = PackageJob(digest="aa" * 32, medium="video", inputs=("bb" * 32,), cadence=CADENCE, lengths=(16, 5))
HEADER = Header(timescale=24000, media_time=2002, defaults=Defaults(0, 0, 0), moov=b"")


def pictures(first: int, *groups: int) -> Piece:
    """A segment from that frame on, with so many frames in each fragment."""
    fragments = []
    for count in groups:
        samples = [Sample(1001, 100, sync=number == 0, composition=2002) for number in range(count)]
        fragments.append(
            Fragment(
                start=96 + 1000 * len(fragments),
                first_sample_end=96 + 1000 * len(fragments) + 300,
                decode_time=first * 1001,
                samples=tuple(samples),
            )
        )
        first += count
    return Piece(name=f"{(first - 1) // 8 + 1:05d}.m4s", path=Path("/nowhere"), fragments=tuple(fragments))


WHOLE = [pictures(0, 4, 4), pictures(8, 4, 4), pictures(16, 4, 1)]


def test_segments_that_keep_the_cadence_are_taken() -> None:
    """Whole segments, and the rest at the end."""
    check(VIDEO, HEADER, WHOLE)


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        (WHOLE[:2], r"The packager cut \[8, 8\] samples into segments instead of \[8, 8, 5\]"),
        ([pictures(0, 4, 3), *WHOLE[1:]], "instead of"),
        ([WHOLE[0], WHOLE[2], WHOLE[1]], "instead of"),
        ([pictures(0, 8), *WHOLE[1:]], "each group needs one of its own"),
        (
            [WHOLE[0], replace(pictures(9, 4, 4), name="00002.m4s"), WHOLE[2]],
            "at tick 9009 instead of 8008",
        ),
        ([replace(WHOLE[0], name="00007.m4s"), *WHOLE[1:]], "did not number its segments from one without a gap"),
    ],
)
def test_any_other_segments_are_not(pieces: list[Piece], sentence: str) -> None:
    """A segment that is missing, long, late or misnamed stops the step before anything is published."""
    with pytest.raises(ToolError, match=sentence):
        check(VIDEO, HEADER, pieces)


def test_a_fragment_must_begin_with_a_key_frame() -> None:
    """A player that jumps there has nothing else to start from."""
    first = WHOLE[0].fragments[0]
    blind = replace(first, samples=(first.samples[1], *first.samples[1:]))
    with pytest.raises(ToolError, match=r"00001.m4s has a fragment that no player can start at"):
        check(VIDEO, HEADER, [replace(WHOLE[0], fragments=(blind, WHOLE[0].fragments[1])), *WHOLE[1:]])


def test_a_track_begins_at_zero() -> None:
    """Without its edit list it would begin two frames late."""
    with pytest.raises(ToolError, match="is shown 2002 ticks from zero"):
        check(VIDEO, replace(HEADER, media_time=None), WHOLE)


def sounds(*packets: int) -> list[Piece]:
    pieces, time = [], 0
    for number, count in enumerate(packets, 1):
        samples = (Sample(AAC_FRAME, 300, sync=True, composition=0),) * count
        fragment = Fragment(start=96, first_sample_end=500, decode_time=time, samples=samples)
        pieces.append(Piece(name=f"{number:05d}.m4s", path=Path("/nowhere"), fragments=(fragment,)))
        time += count * AAC_FRAME
    return pieces


def test_sound_is_cut_at_the_first_aac_frame_of_each_segment() -> None:
    """6.006 s are 281.5 AAC frames: segments have 282, 282, 281…"""
    cadence = Cadence(frame_rate=Fraction(24000, 1001), gop=48, segment=144, chunk=1440)
    job = PackageJob(
        digest="aa" * 32, medium="audio", inputs=("bb" * 32,), cadence=cadence, lengths=(25 * 48000,), language="fr"
    )
    header = replace(HEADER, timescale=48000, media_time=None)
    check(job, header, sounds(282, 282, 281, 282, 45))
    with pytest.raises(ToolError, match="instead of"):
        check(job, header, sounds(282, 281, 282, 282, 45))


def test_key_frames_are_named_by_their_bytes() -> None:
    """One for each fragment, from its moof to the end of its first picture."""
    keys = key_frames(WHOLE, 24000)
    assert [(key.uri, key.start, key.length) for key in keys[:3]] == [
        ("00001.m4s", 96, 300),
        ("00001.m4s", 1096, 300),
        ("00002.m4s", 96, 300),
    ]
    assert sum(key.duration for key in keys) == 21 * Fraction(1001, 24000)


def test_the_packager_is_told_exact_lengths() -> None:
    """Half a tick more than 6.006 s: it cuts off, and 144,143 ticks would drift."""
    argv = packager.command(
        "audio",
        "sound.mp4",
        segment=Fraction(6006, 1000),
        fragment=Fraction(2002, 1000),
        timescale=24000,
        language="pt-BR",
    )
    assert argv[1:] == [
        "in=sound.mp4,stream=audio,init_segment=init.mp4,segment_template=$Number%05d$.m4s,language=pt-BR",
        *("--segment_duration", "6.006020833", "--fragment_duration", "2.002020833"),
        *("--use_fake_clock_for_muxer", "--mpd_output", "packager.mpd", "--generate_static_live_mpd", "--quiet"),
    ]


@pytest.mark.parametrize(
    ("mpd", "sentence"),
    [
        (b"<MPD", "can't be read"),
        (b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>', "made 0 tracks where one is expected"),
    ],
)
def test_a_stream_that_the_packager_dropped_is_missed(mpd: bytes, sentence: str) -> None:
    """It goes on without a stream that it can't parse, and exits 0."""
    with pytest.raises(ToolError, match=sentence):
        packager.describe(mpd)


class Recording(Store):
    """A store that only remembers what was written, in order."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []

    def put_once(self, upload: Upload) -> Written:
        self.uploads.append(upload)
        assert isinstance(upload.body, bytes)
        return Written(key=upload.key, size=len(upload.body), sha256=upload.body.hex())

    def put_all(self, uploads: Iterable[Upload], *, watch: Callable[[], None] = lambda: None) -> list[Written]:
        watch()
        return [self.put_once(upload) for upload in uploads]


def published(stages: Sequence[Sequence[File]]) -> tuple[Recording, Names, Published, list[float]]:
    store, names, shares = Recording(), Names(key=b"k"), list[float]()
    workspace = Workspace(
        scratch=Path("/nowhere"), store=store, names=names, attempt="attempts/a/1/", inputs={}, watch=shares.append
    )
    return store, names, publish(workspace, digest="aa" * 32, prefix="t/x/", stages=stages), shares


def test_nothing_is_named_before_it_is_there() -> None:
    """Stage by stage, and the inventory, which nobody but us may read, at the end."""
    stages = [[File(name="00001.m4s", body=b"12")], [File(name="init.mp4", body=b"3")], []]
    store, names, done, shares = published(stages)
    listed = canonical(
        {
            "objects": [
                {"key": "t/x/00001.m4s", "size": 2, "sha256": "3132"},
                {"key": "t/x/init.mp4", "size": 1, "sha256": "33"},
            ]
        }
    )
    assert [(one.key, one.content_type, one.cache_control) for one in store.uploads] == [
        ("t/x/00001.m4s", "video/iso.segment", IMMUTABLE),
        ("t/x/init.mp4", "video/mp4", IMMUTABLE),
        (names.inventory("aa" * 32), "application/json", PRIVATE),
    ]
    assert store.uploads[-1].body == listed
    assert done == Published(size=3, sha256=listed.hex())
    assert shares == [0.0, 1 / 3, 2 / 3]


def test_the_index_says_where_each_thumbnail_is() -> None:
    """Tile by tile, row by row, sprite by sprite, to the programme's last moment."""
    job = ThumbnailJob(
        digest="aa" * 32,
        inputs=("bb" * 32,),
        lengths=(7,),
        cadence=Cadence(frame_rate=Fraction(1), gop=1, segment=2, chunk=4),
        width=640,
        height=360,
        thumbnails=Thumbnails(height=90, interval_gops=2, columns=2, rows=1),
    )
    assert index(job).split("\n\n") == [
        "WEBVTT",
        "00:00:00.000 --> 00:00:02.000\n00001.jpg#xywh=0,0,160,90",
        "00:00:02.000 --> 00:00:04.000\n00001.jpg#xywh=160,0,160,90",
        "00:00:04.000 --> 00:00:06.000\n00002.jpg#xywh=0,0,160,90",
        "00:00:06.000 --> 00:00:07.000\n00002.jpg#xywh=160,0,160,90\n",
    ]

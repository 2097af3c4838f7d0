import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ToolError
from pipelines.fmp4 import Defaults, join, read, read_fragments, read_header

TICKS = 1001


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def moov(*, timescale: int = 24000, media_time: int | None = 2002) -> bytes:
    mdhd = box(b"mdhd", struct.pack(">5I", 0, 0, 0, timescale, 0))
    elst = box(b"elst", struct.pack(">IIIiI", 0, 1, 0, media_time or 0, 0x10000))
    edts = b"" if media_time is None else box(b"edts", elst)
    trex = box(b"trex", struct.pack(">6I", 0, 1, 1, TICKS, 7, 0x10000))
    return box(b"moov", box(b"trak", edts, box(b"mdia", mdhd)), box(b"mvex", trex))


def fragment(time: int, samples: int) -> bytes:
    """A moof and its mdat; the samples have 5, 6, 7… bytes, and only the first can be decoded alone."""
    sizes = range(5, 5 + samples)
    entries = [struct.pack(">Ii", size, TICKS * (index % 2)) for index, size in enumerate(sizes)]
    tfhd = box(b"tfhd", struct.pack(">II", 0x20000, 1))
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, time))

    def moof(offset: int) -> bytes:
        trun = box(b"trun", struct.pack(">IIiI", 1 << 24 | 0xA05, samples, offset, 0x2000000), *entries)
        return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", tfhd, tfdt, trun))

    return moof(len(moof(0)) + 8) + box(b"mdat", bytes(sum(sizes)))


def chunk(*samples: int, **header: int) -> bytes:
    times = [TICKS * sum(samples[:index]) for index in range(len(samples))]
    parts = [fragment(time, count) for time, count in zip(times, samples, strict=True)]
    return b"".join([box(b"ftyp", b"iso5"), moov(**header), *parts, box(b"mfra")])


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.mp4"
    path.write_bytes(chunk(3, 2))
    return path


def test_a_header_says_how_times_are_counted(whole: Path) -> None:
    """The timescale, the edit list and the defaults of samples are read."""
    header = read_header(whole)
    assert (header.timescale, header.media_time, header.defaults) == (24000, 2002, Defaults(TICKS, 7, 0x10000))
    assert header.moov == moov()


def test_no_edit_list_is_not_an_edit_at_zero(tmp_path: Path) -> None:
    """A track that begins at once and one that says so are told apart."""
    path = tmp_path / "sound.mp4"
    path.write_bytes(box(b"ftyp") + moov(media_time=None))
    assert read_header(path).media_time is None


def test_samples_are_read_whether_they_speak_for_themselves_or_not(whole: Path) -> None:
    """Size and composition come from the run, durations from the header, the first one's flags from the run."""
    _, fragments = read(whole)
    assert [fragment.decode_time for fragment in fragments] == [0, 3 * TICKS]
    assert [tuple(sample) for sample in fragments[0].samples] == [
        (TICKS, 5, True, 0),
        (TICKS, 6, False, TICKS),
        (TICKS, 7, False, 0),
    ]
    assert [fragment.duration for fragment in fragments] == [3 * TICKS, 2 * TICKS]


def test_the_bytes_of_a_key_frame_are_those_from_its_moof_to_its_end(whole: Path) -> None:
    """A player that fetches this range has one whole picture."""
    data = whole.read_bytes()
    for fragment in read(whole)[1]:
        assert data[fragment.start + 4 : fragment.start + 8] == b"moof"
        assert fragment.first_sample_end == data.index(b"mdat", fragment.start) + 4 + 5


def test_joined_chunks_follow_one_another(tmp_path: Path) -> None:
    """One header, every sample once, and no gap in time at the join."""
    inputs = [tmp_path / "1.mp4", tmp_path / "2.mp4"]
    inputs[0].write_bytes(chunk(3, 2))
    inputs[1].write_bytes(chunk(3))
    out = tmp_path / "out.mp4"
    join(inputs, [5, 3], out)
    _, fragments = read(out)
    assert [(fragment.decode_time // TICKS, len(fragment.samples)) for fragment in fragments] == [
        (0, 3),
        (3, 2),
        (5, 3),
    ]
    assert out.read_bytes().count(b"moov") == 1
    assert out.stat().st_size == len(chunk(3, 2)) + len(fragment(0, 3)) - len(box(b"mfra"))


@pytest.mark.parametrize(
    ("second", "length", "sentence"),
    [
        (chunk(3, timescale=25), 3, "2.mp4 and 1.mp4 were not encoded alike, and can't be joined."),
        (chunk(2), 3, "2.mp4 holds 2 samples instead of 3."),
    ],
)
def test_chunks_that_do_not_fit_are_not_joined(tmp_path: Path, second: bytes, length: int, sentence: str) -> None:
    """Another encoder setting, or a lost frame, is an error and not a broken track."""
    inputs = [tmp_path / "1.mp4", tmp_path / "2.mp4"]
    inputs[0].write_bytes(chunk(3))
    inputs[1].write_bytes(second)
    with pytest.raises(ToolError) as error:
        join(inputs, [3, length], tmp_path / "out.mp4")
    assert error.value.message == sentence


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has no moov"),
        (b"no film at all, whatever", "claims 1852776550 bytes"),
        (chunk(3)[:-20], "claims"),
        (box(b"free") + bytes(8), "claims 0 bytes"),
        (box(b"ftyp") + moov(timescale=0), "its timescale is zero"),
        (box(b"ftyp") + box(b"moov"), "it has 0 trak where one is expected"),
        (box(b"ftyp") + moov() + box(b"moof", box(b"traf")), "it has 0 tfdt where one is expected"),
        (chunk(3).replace(struct.pack(">II", 0x1000A05, 3), struct.pack(">II", 0x1000A05, 1 << 31)), "a run claims"),
        (chunk(3).replace(struct.pack(">II", 0x1000A05, 3), struct.pack(">II", 0x1000A05, 0)), "is empty"),
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, data: bytes, reason: str) -> None:
    """A damaged file is one sentence that names it."""
    path = tmp_path / "chunk.mp4"
    path.write_bytes(data)
    with pytest.raises(ToolError, match=r"^chunk\.mp4 is not a sound fragmented MP4: ") as error:
        read(path)
    assert reason in error.value.message


@given(at=st.integers(0, len(chunk(3, 2)) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(chunk(3, 2))))
def test_no_byte_makes_the_reader_stumble(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, cut: int
) -> None:
    """Whatever a byte is changed to and wherever the file ends, it is read or refused, soon."""
    damaged = bytearray(chunk(3, 2))
    damaged[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.mp4"
    path.write_bytes(damaged[:cut])
    with suppress(ToolError):
        header, fragments = read(path)
        assert read_fragments(path, header) == fragments

"""
Fragmented MP4 read box by box, and chunks of one rung joined to one file without touching a picture.

A small reader, because exit code 0 is not success: what tools wrote is counted here, sample by sample. It believes no
length that it has not compared with what is there, so that a damaged file is an error and never a loop or a flood.
ISO/IEC 14496-12 names the boxes.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipelines.errors import ToolError

#: Most bytes of a moov or a moof: an hour in one fragment has less.
METADATA_LIMIT = 16 << 20
#: Most samples of a run: where entries have no bytes of their own, nothing else bounds their number.
RUN_LIMIT = 1 << 20
#: Bytes.
COPIED_AT_ONCE = 1 << 20
#: `sample_is_non_sync_sample` among a sample's flags.
NON_SYNC = 0x10000


class Sample(NamedTuple):
    """A frame of video or of AAC."""

    #: Ticks.
    duration: int
    #: Bytes.
    size: int
    #: Whether a decoder can start here.
    sync: bool
    #: Ticks from decoding to showing, before the edit list is applied.
    composition: int


class Defaults(NamedTuple):
    """What samples are that say nothing else."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the moov says of the one track."""

    #: Ticks per second.
    timescale: int
    #: The tick at which the programme begins, by the edit list; None if there is no edit list.
    media_time: int | None
    defaults: Defaults
    #: The box itself.
    moov: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A moof and its samples."""

    #: Byte of the file at which the moof begins, and at which its first sample ends.
    start: int
    first_sample_end: int
    #: Tick at which its first sample is decoded.
    decode_time: int
    samples: tuple[Sample, ...]

    @property
    def duration(self) -> int:
        """Ticks."""
        return sum(sample.duration for sample in self.samples)


def read(path: Path) -> tuple[Header, list[Fragment]]:
    """The header and the fragments of a whole file. Raises `ToolError`."""
    header = read_header(path)
    return header, read_fragments(path, header)


def read_header(path: Path) -> Header:
    """The header of a file or of an init segment. Raises `ToolError`."""
    with path.open("rb") as file, _sound(path):
        for box in _top_level(file):
            if box.kind == b"moov":
                return _header(_load(file, box))
        raise ValueError("it has no moov")


def read_fragments(path: Path, header: Header) -> list[Fragment]:
    """The fragments of a file or of a media segment. Raises `ToolError`."""
    with path.open("rb") as file, _sound(path):
        size = _size(file)
        fragments = [_fragment(_load(file, box), box.head, header) for box in _top_level(file) if box.kind == b"moof"]
        if any(fragment.first_sample_end > size for fragment in fragments):
            raise ValueError("it ends within a fragment")
        return fragments


def join(inputs: Sequence[Path], lengths: Sequence[int], out: Path) -> None:
    """
    Write the chunks of `inputs`, which have `lengths` samples, to `out` as one file, each after the one before.

    Samples are copied as they are; only the times at which fragments are decoded move. Raises `ToolError` if the
    chunks were not encoded alike, or hold another number of samples.
    """
    first = read_header(inputs[0])
    shift = 0
    with out.open("wb") as target:
        for number, (path, length) in enumerate(zip(inputs, lengths, strict=True)):
            header, fragments = read(path)
            if header.moov != first.moov:
                raise ToolError(f"{path.name} and {inputs[0].name} were not encoded alike, and can't be joined.")
            held = sum(len(fragment.samples) for fragment in fragments)
            if held != length:
                raise ToolError(f"{path.name} holds {held} samples instead of {length}.")
            _append(path, target, {b"moof", b"mdat"} if number else {b"ftyp", b"moov", b"moof", b"mdat"}, shift)
            shift += sum(fragment.duration for fragment in fragments)


def _append(path: Path, target: BinaryIO, wanted: set[bytes], shift: int) -> None:
    with path.open("rb") as file, _sound(path):
        for box in _top_level(file):
            if box.kind == b"moof":
                target.write(_moved(_load(file, box), shift))
            elif box.kind in wanted:
                _copy(file, box, target)


def _copy(file: BinaryIO, box: "_Box", target: BinaryIO) -> None:
    file.seek(box.head)
    left = box.end - box.head
    while left:
        piece = file.read(min(left, COPIED_AT_ONCE))
        if not piece:
            raise ValueError("it became shorter while it was read")
        target.write(piece)
        left -= len(piece)


def _moved(moof: bytes, shift: int) -> bytes:
    """`moof`, decoded `shift` ticks later."""
    tfdt = _one(moof, _one(moof, _whole(moof), b"traf"), b"tfdt")
    form = ">Q" if moof[tfdt.start] else ">I"
    (time,) = struct.unpack_from(form, moof, tfdt.start + 4)
    moved = bytearray(moof)
    struct.pack_into(form, moved, tfdt.start + 4, time + shift)
    return bytes(moved)


def _header(moov: bytes) -> Header:
    trak = _one(moov, _whole(moov), b"trak")
    mdhd = _one(moov, _one(moov, trak, b"mdia"), b"mdhd")
    trex = _one(moov, _one(moov, _whole(moov), b"mvex"), b"trex")
    (timescale,) = struct.unpack_from(">I", moov, mdhd.start + (20 if moov[mdhd.start] else 12))
    if not timescale:
        raise ValueError("its timescale is zero")
    defaults = Defaults(*struct.unpack_from(">3I", moov, trex.start + 12))
    return Header(timescale=timescale, media_time=_media_time(moov, trak), defaults=defaults, moov=moov)


def _media_time(moov: bytes, trak: "_Box") -> int | None:
    for edts in _all(moov, trak, b"edts"):
        elst = _one(moov, edts, b"elst")
        (entries,) = struct.unpack_from(">I", moov, elst.start + 4)
        if entries != 1:
            raise ValueError(f"its edit list has {entries} entries")
        form, at = (">q", 16) if moov[elst.start] else (">i", 12)
        return int(struct.unpack_from(form, moov, elst.start + at)[0])
    return None


def _fragment(moof: bytes, start: int, header: Header) -> Fragment:
    traf = _one(moof, _whole(moof), b"traf")
    tfdt = _one(moof, traf, b"tfdt")
    (decode_time,) = struct.unpack_from(">Q" if moof[tfdt.start] else ">I", moof, tfdt.start + 4)
    defaults = _defaults(moof, _one(moof, traf, b"tfhd"), header.defaults)
    runs = [_run(moof, trun, defaults) for trun in _all(moof, traf, b"trun")]
    samples = tuple(sample for _, run in runs for sample in run)
    if not samples:
        raise ValueError(f"the fragment at byte {start} is empty")
    end = start + runs[0][0] + samples[0].size
    return Fragment(start=start, first_sample_end=end, decode_time=decode_time, samples=samples)


def _defaults(moof: bytes, tfhd: "_Box", otherwise: Defaults) -> Defaults:
    """What the fragment says of its samples, or else the header."""
    (flags,) = struct.unpack_from(">I", moof, tfhd.start)
    if flags & 0x1:
        raise ValueError("a fragment counts bytes from the file's beginning")
    at = tfhd.start + 8 + (4 if flags & 0x2 else 0)  # behind the track's id and the sample description's index
    found = []
    for bit, default in zip((0x8, 0x10, 0x20), otherwise, strict=True):
        found.append(struct.unpack_from(">I", moof, at)[0] if flags & bit else default)
        at += 4 if flags & bit else 0
    return Defaults(*found)


def _run(moof: bytes, trun: "_Box", defaults: Defaults) -> tuple[int, list[Sample]]:
    """Where the run's data begin, counted from the moof, and its samples."""
    flags, number = struct.unpack_from(">II", moof, trun.start)
    if number > RUN_LIMIT:
        raise ValueError(f"a run claims {number} samples")
    at = trun.start + 8
    data_offset = struct.unpack_from(">i", moof, at)[0] if flags & 0x1 else 0
    at += 4 if flags & 0x1 else 0
    first_flags = struct.unpack_from(">I", moof, at)[0] if flags & 0x4 else None
    at += 4 if flags & 0x4 else 0
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    entry = struct.Struct(f">{len(fields)}i" if flags >> 24 else f">{len(fields)}I")  # version 1: signed compositions
    samples = []
    for index in range(number):
        said = dict(zip(fields, entry.unpack_from(moof, at + index * entry.size), strict=True))
        own = first_flags if first_flags is not None and not index else said.get(0x400, defaults.flags)
        samples.append(
            Sample(
                duration=said.get(0x100, defaults.duration),
                size=said.get(0x200, defaults.size),
                sync=not own & NON_SYNC,
                composition=said.get(0x800, 0),
            )
        )
    return data_offset, samples


class _Box(NamedTuple):
    """Where a box begins, where its content does, and where both end."""

    kind: bytes
    head: int
    start: int
    end: int


def _top_level(file: BinaryIO) -> Iterator[_Box]:
    at, size = 0, _size(file)
    while at < size:
        file.seek(at)
        box = _box(file.read(16), at, size)
        yield box
        at = box.end


def _within(data: bytes, start: int, end: int) -> Iterator[_Box]:
    at = start
    while at < end:
        box = _box(data[at : at + 16], at, end)
        yield box
        at = box.end


def _box(head: bytes, at: int, limit: int) -> _Box:
    """The box that begins with `head` at `at`; what it is in ends at `limit`."""
    size, kind = struct.unpack_from(">I4s", head)
    begin = 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", head, 8)
        begin = 16
    if size < begin or at + size > limit:
        raise ValueError(f"the box at byte {at} claims {size} bytes of the {limit - at} that are there")
    return _Box(kind, at, at + begin, at + size)


def _all(data: bytes, parent: _Box, kind: bytes) -> list[_Box]:
    return [box for box in _within(data, parent.start, parent.end) if box.kind == kind]


def _one(data: bytes, parent: _Box, kind: bytes) -> _Box:
    found = _all(data, parent, kind)
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} {kind.decode()} where one is expected")
    return found[0]


def _whole(data: bytes) -> _Box:
    return _box(data[:16], 0, len(data))


def _load(file: BinaryIO, box: _Box) -> bytes:
    size = box.end - box.head
    if size > METADATA_LIMIT:
        raise ValueError(f"a {box.kind.decode(errors='replace')} of {size} bytes is more than is read")
    file.seek(box.head)
    return file.read(size)


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Whatever does not add up is one sentence about the file."""
    try:
        yield
    except (struct.error, IndexError, ValueError) as error:
        raise ToolError(f"{path.name} is not a sound fragmented MP4: {error}.") from error

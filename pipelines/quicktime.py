"""
Whether a QuickTime or MP4 file keeps its media in itself, or names other files that hold it.

ffmpeg is told not to open those files; it would then read the same offsets in this one, and show noise. So such a
file is refused, with its reason. Everything here is bounded: the file is hostile until it has been read.
"""

from collections.abc import Iterator
from io import RawIOBase
from itertools import islice

from pipelines.errors import DeliveryError

#: Boxes that lead from `moov` to the data references of each track (ISO/IEC 14496-12, 8.7.2).
WAY = (b"trak", b"mdia", b"minf", b"dinf")
#: Bytes of a `moov` that is read; that of a three-hour film takes about ten million.
LARGEST_HEADER = 128 << 20
#: Boxes looked at, on any one level, before we give up.
MOST_BOXES = 100_000
#: What such a file begins with.
FIRST = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid"}
#: The flag of a data reference that says: in this same file.
SELF_CONTAINED = 1


def begins(start: bytes) -> bool:
    """Whether a file whose first bytes these are is QuickTime or MP4, however it goes on."""
    return start[4:8] in FIRST


def check_references(stream: RawIOBase, size: int, name: str) -> None:
    """Raise `DeliveryError` if a track of the file at `stream` has its media elsewhere, or if there is no header."""
    moov = _header(stream, size, name)
    for reference in _references(moov):
        if not reference[3] & SELF_CONTAINED:
            raise DeliveryError(
                f"{name} keeps its media in other files: it is a reference movie.",
                hint="Deliver it self-contained.",
            )


def _header(stream: RawIOBase, size: int, name: str) -> bytes:
    """The contents of the first `moov`, the only one that ffmpeg reads."""
    place = 0
    for _ in range(MOST_BOXES):
        stream.seek(place)
        start = _exactly(stream, min(16, size - place))
        box = next(_boxes(start, beyond=size - place), None)
        if box is None:
            break
        kind, body, end = box
        if kind == b"moov" and end - body > LARGEST_HEADER:
            raise DeliveryError(f"{name} has a header of {end - body} bytes.", hint="Deliver it in another container.")
        if kind == b"moov":
            stream.seek(place + body)
            return _exactly(stream, end - body)
        place += end
    raise DeliveryError(f"{name} is truncated: it has no `moov`.", hint="Deliver it again.")


def _references(moov: bytes) -> Iterator[bytes]:
    """The first bytes of every data reference: version and flags."""
    level = [moov]
    for kind in WAY:
        level = [inner for outer in level for inner in _inside(outer, kind)]
    for dinf in level:
        for dref in _inside(dinf, b"dref"):
            # After version, flags and the number of entries, each entry is a box with version and flags of its own.
            for _, body, end in islice(_boxes(dref[8:]), MOST_BOXES):
                yield dref[8:][body:end][:4].ljust(4, b"\0")


def _inside(data: bytes, kind: bytes) -> Iterator[bytes]:
    return (data[body:end] for found, body, end in islice(_boxes(data), MOST_BOXES) if found == kind)


def _boxes(data: bytes, beyond: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """
    Kind, where the contents begin and where they end, of each box in `data`, which may reach `beyond` it.

    A size of one stands for the 64 bits that follow, a size of nothing for all that is left.
    """
    place, last = 0, max(beyond, len(data))
    while place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = last if size == 0 else place + size
        if end < place + head or place + head > last:
            return
        yield kind, place + head, min(end, last)
        place = end


def _exactly(stream: RawIOBase, count: int) -> bytes:
    """That many bytes, or as many as there are: a raw read may give fewer than it was asked for."""
    data = bytearray()
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return bytes(data)

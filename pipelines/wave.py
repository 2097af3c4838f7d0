"""How much sound a WAV file's header promises: tools report what is there, so a file cut short looks whole to them."""

from fractions import Fraction
from io import RawIOBase

#: A chunk's size where the writer did not know it (a pipe), or where RF64 keeps it elsewhere.
UNKNOWN = (0, 0xFFFFFFFF)
#: Chunks before the samples that are looked at; broadcast files have a dozen.
MOST_CHUNKS = 100


def seconds(stream: RawIOBase) -> Fraction | None:
    """Seconds of sound by the header of the RIFF file at `stream`; None where it does not say."""
    if (stream.read(4) or b"") != b"RIFF":
        return None
    place, rate = 12, 0
    for _ in range(MOST_CHUNKS):
        stream.seek(place)
        head = stream.read(24) or b""
        kind, size = head[:4], int.from_bytes(head[4:8], "little")
        if kind == b"fmt ":
            rate = int.from_bytes(head[16:20], "little")  # bytes per second
        if kind == b"data":
            return Fraction(size, rate) if rate and size not in UNKNOWN else None
        if not kind:
            return None
        place += 8 + size + size % 2
    return None

import io
from fractions import Fraction
from typing import cast

import pytest

from pipelines import wave

FORMAT = b"fmt " + (16).to_bytes(4, "little") + bytes.fromhex("0100 0200 80bb0000 00ee0200 0400 1000")
SECOND = 192_000  # bytes of 48 kHz 16-bit stereo


def promised(*chunks: bytes) -> Fraction | None:
    data = b"RIFF" + bytes(4) + b"WAVE" + b"".join(chunks)
    return wave.seconds(cast("io.RawIOBase", io.BytesIO(data)))


def head(kind: bytes, size: int) -> bytes:
    return kind + size.to_bytes(4, "little")


def test_the_header_says_how_long_it_should_be() -> None:
    """However little of it is there."""
    assert promised(FORMAT, head(b"data", 4 * SECOND), b"a few samples") == 4


def test_other_chunks_are_stepped_over() -> None:
    """Broadcast files begin with `bext`; chunks of odd size are padded."""
    assert promised(head(b"bext", 3), b"xyz\0", FORMAT, head(b"data", SECOND)) == 1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_size_that_was_not_known_promises_nothing(size: int) -> None:
    """Pipes and RF64 write one of these."""
    assert promised(FORMAT, head(b"data", size)) is None


def test_a_file_that_ends_early_promises_nothing() -> None:
    """Without samples or format there is nothing to compare with."""
    assert promised() is None
    assert promised(head(b"data", SECOND)) is None
    assert wave.seconds(cast("io.RawIOBase", io.BytesIO(b"RF64"))) is None

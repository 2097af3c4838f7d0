import contextlib
import io
from io import BytesIO
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DeliveryError
from pipelines.quicktime import begins, check_references

HERE = b"\0\0\0\1"
ELSEWHERE = b"\0\0\0\0"


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def track(*entries: bytes) -> bytes:
    dref = box(b"dref", bytes(4), len(entries).to_bytes(4, "big"), *entries)
    return box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", box(b"minf", box(b"dinf", dref))))


def checked(data: bytes) -> None:
    check_references(cast("io.RawIOBase", BytesIO(data)), len(data), "m.mov")


def test_a_self_contained_file_passes() -> None:
    """Its header may come before the media or after it, and sizes may take 64 bits."""
    moov = box(b"moov", track(box(b"url ", HERE)), track(box(b"alis", HERE)))
    large = (1).to_bytes(4, "big") + b"mdat" + (16 + 5).to_bytes(8, "big") + b"media"
    checked(box(b"ftyp", b"qt  ") + moov + box(b"mdat", b"media"))
    checked(box(b"ftyp", b"qt  ") + large + moov)


@pytest.mark.parametrize("kind", [b"url ", b"urn ", b"alis", b"rsrc"])
def test_one_reference_elsewhere_is_enough(kind: bytes) -> None:
    """In any track, in any entry, of any kind."""
    moov = box(b"moov", track(box(b"url ", HERE)), track(box(b"url ", HERE), box(kind, ELSEWHERE, b"http://x/")))
    with pytest.raises(DeliveryError, match="it is a reference movie"):
        checked(box(b"ftyp", b"qt  ") + moov)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        box(b"ftyp", b"qt  "),
        box(b"ftyp", b"qt  ") + (1 << 30).to_bytes(4, "big") + b"mdat",
        box(b"ftyp", b"qt  ") + (4).to_bytes(4, "big") + b"mdat",
        box(b"ftyp", b"qt  ") + bytes(4) + b"mdat",
    ],
)
def test_a_file_without_header_is_truncated(data: bytes) -> None:
    """Wherever it ends, and whatever size its last box claims."""
    with pytest.raises(DeliveryError, match="is truncated: it has no `moov`"):
        checked(data)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    """The file is hostile: it ends in a verdict, never in another error or a long walk."""
    for hostile in (data, box(b"moov", data), box(b"moov", box(b"trak", data)), box(b"moov", track(data))):
        with contextlib.suppress(DeliveryError):
            checked(hostile)


def test_what_begins_as_text_is_not_quicktime() -> None:
    """A playlist that is called .mov is not a truncated film."""
    assert begins(box(b"ftyp", b"qt  ")[:8])
    assert not begins(b"#EXTM3U\n")
    assert not begins(b"")

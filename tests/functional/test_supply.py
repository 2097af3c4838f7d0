"""Sources of a delivery, local and in a real object store, as tools get to read them."""

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pipelines.errors import DeliveryError, Interrupted, ToolError
from pipelines.source import Source
from pipelines.tools import process, supply
from pipelines.tools.loopback import requested
from pipelines.tools.s3 import Store, Upload

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def deliver(store: Store) -> Callable[[bytes], str]:
    """Puts bytes into the bucket, in place of what was there; gives the address."""

    def put(content: bytes) -> str:
        before = store.head("in/a b?#é.mov")
        upload = Upload(key="in/a b?#é.mov", body=content, content_type="video/quicktime", cache_control="no-store")
        assert store.swap(upload, etag=before.etag if before else None)
        return f"s3://{store.bucket}/in/a b?#é.mov"

    return put


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply, "WINDOW", 1000)


def get(url: str, **headers: str) -> tuple[int, str | None, bytes]:
    """Status, Content-Range and body of the answer."""
    try:
        with urlopen(Request(url, headers=headers)) as answer:
            return answer.status, answer.headers["Content-Range"], answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Range"], error.read()


def test_file_identity(store: Store, tmp_path: Path) -> None:
    """A file is known by its content, not by its place."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
    a, b = (supply.identify(str(tmp_path / name), store) for name in ("a", "b"))
    assert a == Source(uri=str(tmp_path / "a"), size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    assert a.identity == b.identity


def test_object_identity(store: Store, deliver: Callable[[bytes], str]) -> None:
    """An object is known by its place and what the store says of its content."""
    uri = deliver(CONTENT)
    source = supply.identify(uri, store)
    assert (source.uri, source.size, source.sha256) == (uri, len(CONTENT), "")
    deliver(CONTENT[1:])
    assert supply.identify(uri, store).identity != source.identity


def test_refused_files(store: Store, tmp_path: Path) -> None:
    """What is not a readable file with something in it is refused with a sentence, and never waited for."""
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    for name, sentence in {
        "none": "does not exist",
        "empty": "is empty",
        "": "is a folder",
        "fifo": "is a pipe, socket or device",
        "empty/below": "can't be read: Not a directory",
        "x" * 300: "can't be read: File name too long",
    }.items():
        with pytest.raises(DeliveryError, match=sentence):
            supply.identify(str(tmp_path / name), store)
    with pytest.raises(DeliveryError, match="/dev/zero is a pipe, socket or device"):
        supply.identify("/dev/zero", store)


def test_refused_objects(store: Store, deliver: Callable[[bytes], str]) -> None:
    """An object that is missing or empty is refused with a sentence."""
    with pytest.raises(DeliveryError, match="does not exist"):
        supply.identify(f"s3://{store.bucket}/in/none.mov", store)
    with pytest.raises(DeliveryError, match="does not exist"):
        supply.identify("s3://absent-bucket/in/none.mov", store)
    uri = deliver(b"")
    with pytest.raises(DeliveryError, match="is empty"):
        supply.identify(uri, store)


def test_local_is_itself(store: Store, tmp_path: Path) -> None:
    """A local file is read where it is, as long as it is what was examined."""
    file = tmp_path / "a"
    file.write_bytes(CONTENT)
    source = supply.identify(str(file), store)
    with supply.readable(source, store) as address:
        assert address == str(file)
        assert supply.protocols(address) == "file"
    file.write_bytes(CONTENT[1:])
    with pytest.raises(DeliveryError, match="changed since"), supply.readable(source, store):
        pass


@pytest.mark.usefixtures("small_windows")
def test_loopback(store: Store, deliver: Callable[[bytes], str]) -> None:
    """An object is read whole or by range; the address tells neither where it is nor by which credentials."""
    uri = deliver(CONTENT)
    source, size = supply.identify(uri, store), len(CONTENT)
    with supply.readable(source, store) as address:
        assert supply.protocols(address) == "http,tcp"
        assert "mov" not in address
        assert get(address) == (200, None, CONTENT)
        assert get(address, Range="bytes=10-19") == (206, f"bytes 10-19/{size}", CONTENT[10:20])
        assert get(address, Range="bytes=15000-") == (206, f"bytes 15000-{size - 1}/{size}", CONTENT[15000:])
        assert get(address, Range="bytes=-5") == (206, f"bytes {size - 5}-{size - 1}/{size}", CONTENT[-5:])
        assert get(address, Range=f"bytes={size}-") == (416, f"bytes */{size}", b"")
        with urlopen(Request(address, method="HEAD")) as answer:
            assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, str(size), b"")


def test_nobody_else(store: Store, deliver: Callable[[bytes], str]) -> None:
    """Without the path nothing is served, and after the step nothing at all."""
    source = supply.identify(deliver(CONTENT), store)
    with supply.readable(source, store) as address:
        assert get(address[:-1]) == (404, None, b"")
        assert get(address.rpartition("/")[0] + "/") == (404, None, b"")
        assert get(address + "/../x") == (404, None, b"")
    with pytest.raises(OSError, match="refused"):
        urlopen(address)


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (ToolError("ffmpeg failed."), DeliveryError),
        (DeliveryError("It is cut short."), DeliveryError),
        (None, DeliveryError),
        (Interrupted("The lease was lost."), Interrupted),
    ],
)
def test_changed_while_read(
    store: Store, deliver: Callable[[bytes], str], outcome: Exception | None, told: type[Exception]
) -> None:
    """An object that changes while a tool reads it stops the tool short, and is what is told of the step."""
    source = supply.identify(deliver(CONTENT), store)
    deliver(CONTENT[::-1])

    def step() -> None:
        with supply.readable(source, store) as address:
            with pytest.raises(IncompleteRead):
                get(address)
            if outcome:
                raise outcome

    with pytest.raises(told, match="changed while it was read" if told is DeliveryError else "lease"):
        step()


def test_a_tool_reads_it(store: Store, deliver: Callable[[bytes], str], ffmpeg: str, tmp_path: Path) -> None:
    """ffmpeg reads an object through the loopback as it reads a file, seeking to the index at its end."""
    movie = tmp_path / "movie.mp4"
    process.run([ffmpeg, *("-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=25:d=2"), str(movie)])
    source = supply.identify(deliver(movie.read_bytes()), store)
    with supply.readable(source, store) as address:
        whitelist = ("-protocol_whitelist", supply.protocols(address))
        counted = process.run([ffmpeg, *("-v", "error", *whitelist, "-f", "mov", "-i", address, "-f", "framecrc", "-")])
        missing = [ffmpeg, *("-v", "error", *whitelist, "-f", "mov", "-i", address + "x", "-f", "null", "-")]
        with pytest.raises(ToolError) as raised:
            process.run(missing)
    assert len([line for line in counted.stdout.splitlines() if not line.startswith(b"#")]) == 50
    told = f"{raised.value} {raised.value.argv} {raised.value.tail}"
    assert "<source>" in told
    assert address not in told


@pytest.mark.usefixtures("small_windows")
def test_stream(store: Store, deliver: Callable[[bytes], str], tmp_path: Path) -> None:
    """Both kinds of source are seekable files with the same bytes."""
    (tmp_path / "a").write_bytes(CONTENT)
    for uri in (str(tmp_path / "a"), deliver(CONTENT)):
        with closing(supply.stream(supply.identify(uri, store), store)) as file:
            assert file.seek(0, os.SEEK_END) == len(CONTENT)
            assert file.read(10) == b""
            assert file.seek(-3, os.SEEK_END) == len(CONTENT) - 3
            assert file.read(10) == CONTENT[-3:]
            file.seek(995)
            assert file.read(10) + file.read(5) == CONTENT[995:1010]
            assert file.seek(-15, os.SEEK_CUR) == 995 == file.tell()
            file.seek(0)
            assert file.readall() == CONTENT


def test_range_headers() -> None:
    """Ranges are read as RFC 9110 writes them; several at once, or nonsense, can't be had."""
    assert requested("bytes=0-", 10) == range(10)
    assert requested("bytes=3-5", 10) == range(3, 6)
    assert requested("bytes=3-99", 10) == range(3, 10)
    assert requested("bytes=-4", 10) == range(6, 10)
    assert requested("bytes=-40", 10) == range(10)
    for nonsense in ("bytes=-", "bytes=10-", "bytes=5-3", "bytes=0-1,3-4", "chunks=0-1", "bytes=-0", "bytes=a-b"):
        assert not requested(nonsense, 10)

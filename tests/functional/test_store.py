"""The object store as we use it, on a real one."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pipelines import layout
from pipelines.errors import ConfigurationError, DeliveryError, Interrupted, StoreError
from pipelines.tools.s3 import Store, Stored, Upload, Written
from tests.conftest import StoreService
from tests.fakes.careless_store import careless_store


def upload(key: str, body: bytes | Path) -> Upload:
    return Upload(key=key, body=body, content_type="video/iso.segment", cache_control=layout.IMMUTABLE)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_headers_and_sha256(store: Store) -> None:
    """What is written comes back with its size, sha256, type and cache headers."""
    store.put_once(upload("t/a/00001.m4s", b"segment"))
    stored = store.head("t/a/00001.m4s")
    assert stored
    assert stored == Stored(
        key="t/a/00001.m4s",
        size=7,
        sha256=sha256(b"segment"),
        etag=stored.etag,
        content_type="video/iso.segment",
        cache_control=layout.IMMUTABLE,
    )
    assert store.get("t/a/00001.m4s") == (b"segment", stored.etag)


def test_twice(store: Store, tmp_path: Path) -> None:
    """The same bytes twice, from memory or from a file, are one success."""
    file = tmp_path / "segment"
    file.write_bytes(b"segment")
    first = store.put_once(upload("t/a", b"segment"))
    assert store.put_once(upload("t/a", file)) == first == Written(key="t/a", size=7, sha256=sha256(b"segment"))


def test_never_overwritten(store: Store) -> None:
    """Other bytes under a name that is taken are refused, naming both; what is there stays."""
    store.put_once(upload("t/a", b"one"))
    with pytest.raises(StoreError, match=f"{sha256(b'one')}.*{sha256(b'two')}"):
        store.put_once(upload("t/a", b"two"))
    assert store.get("t/a", limit=3) == (b"one", store.head("t/a").etag)  # type: ignore[union-attr]


def test_empty_object(store: Store) -> None:
    """An object of no bytes is an object."""
    assert store.put_once(upload("t/empty", b"")).size == 0
    assert store.head("t/empty").sha256 == sha256(b"")  # type: ignore[union-attr]


def test_large_in_parts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object sent in parts has the same promises: its sha256, one success twice, never overwritten."""
    monkeypatch.setattr("pipelines.tools.s3_write.WHOLE", 6 << 20)
    monkeypatch.setattr("pipelines.tools.s3.WHOLE", 6 << 20)
    monkeypatch.setattr("pipelines.tools.s3_write.PART", 5 << 20)
    body = bytes(range(256)) * (13 << 12)
    written = store.put_once(upload("t/large", body))
    stored = store.head("t/large")
    assert stored
    assert (stored.size, stored.sha256) == (len(body), sha256(body)) == (written.size, written.sha256)
    assert store.put_once(upload("t/large", body)) == written
    with pytest.raises(StoreError, match="what was made now has"):
        store.put_once(upload("t/large", body[:-1]))
    store.fetch("t/large", tmp_path / "large", sha256=written.sha256)
    assert (tmp_path / "large").read_bytes() == body


def test_rivals_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that send the same name in parts at once, one wins and the other is told; nothing is mixed."""
    monkeypatch.setattr("pipelines.tools.s3_write.WHOLE", 0)
    monkeypatch.setattr("pipelines.tools.s3_write.PART", 5 << 20)
    bodies = [b"a" * (6 << 20), b"b" * (6 << 20)]
    outcomes: list[str] = []

    def write(body: bytes) -> None:
        try:
            outcomes.append(store.put_once(upload("t/rivals", body)).sha256)
        except StoreError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "refused" in outcomes
    assert store.head("t/rivals").sha256 in outcomes  # type: ignore[union-attr]


def test_many(store: Store) -> None:
    """Many are written at a time, and reported in the order given."""
    bodies = {f"t/many/{number:05d}.m4s": b"%d" % number for number in range(60)}
    written = store.put_all(upload(key, body) for key, body in bodies.items())
    assert written == [Written(key=key, size=len(body), sha256=sha256(body)) for key, body in bodies.items()]
    assert sorted(store.keys("t/many/")) == list(bodies)
    assert list(store.keys("t/none/")) == []


def test_many_bounded(store_service: StoreService, store: Store) -> None:
    """No more than the connections' number of bodies is taken ahead of being written."""
    narrow = Store(
        endpoint=store_service.endpoint,
        region="us-east-1",
        bucket=store.bucket,
        access_key=store_service.secrets.access_key,
        secret_key=store_service.secrets.secret_key,
        connections=3,
    )
    ahead = []

    def bodies() -> Iterator[Upload]:
        for number in range(20):
            ahead.append(number - len(list(store.keys("t/narrow/"))))
            yield upload(f"t/narrow/{number}", b"x")

    narrow.put_all(bodies())
    narrow.close()
    assert max(ahead) <= 3


def test_many_stop(store: Store) -> None:
    """The first failure ends it, and so does work that no longer counts."""
    store.put_once(upload("t/stop/1", b"other"))
    with pytest.raises(StoreError, match="t/stop/1"):
        store.put_all(upload(f"t/stop/{number}", b"x") for number in range(500))

    def stopped() -> None:
        raise Interrupted("The lease was lost.")

    with pytest.raises(Interrupted):
        store.put_all((upload(f"t/stopped/{number}", b"x") for number in range(500)), watch=stopped)
    assert len(list(store.keys("t/stopped/"))) < 100


def test_swap(store: Store) -> None:
    """Of two that change an object from the same state, exactly one wins; the first writer needs there to be none."""
    assert store.swap(upload("e/a/release.json", b"1"), etag=None)
    assert not store.swap(upload("e/a/release.json", b"2"), etag=None)
    before = store.head("e/a/release.json")
    assert before
    assert store.swap(upload("e/a/release.json", b"3"), etag=before.etag)
    assert not store.swap(upload("e/a/release.json", b"4"), etag=before.etag)
    assert not store.swap(upload("e/b/release.json", b"5"), etag=before.etag)
    assert store.get("e/a/release.json") == (b"3", store.head("e/a/release.json").etag)  # type: ignore[union-attr]


def test_absent(store: Store, tmp_path: Path) -> None:
    """What is not there is None, or a sentence where it had to be; deleting it is no error."""
    assert store.head("t/none") is None
    assert store.get("t/none") is None
    assert store.examine(store.bucket, "t/none") is None
    store.delete(["t/none"])
    with pytest.raises(StoreError, match="`t/none` is not in the store"):
        store.fetch("t/none", tmp_path / "none", sha256=sha256(b""))
    assert list(tmp_path.iterdir()) == []


def test_fetch_checks(store: Store, tmp_path: Path) -> None:
    """A copy appears only when its bytes are those expected."""
    store.put_once(upload("attempts/a", b"chunk"))
    with pytest.raises(StoreError, match=r"arrived from .* with sha256"):
        store.fetch("attempts/a", tmp_path / "chunk", sha256=sha256(b"other"))
    assert list(tmp_path.iterdir()) == []
    store.fetch("attempts/a", tmp_path / "chunk", sha256=sha256(b"chunk"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("chunk", b"chunk")]


def test_get_limit(store: Store) -> None:
    """An object that is larger than makes sense is not read."""
    store.put_once(upload("v/a/main.m3u8", b"x" * 100))
    with pytest.raises(StoreError, match=r"100 bytes .* limit of 99"):
        store.get("v/a/main.m3u8", limit=99)


def test_delete(store: Store) -> None:
    """Deleted objects are gone, and only those."""
    store.put_all(upload(f"t/d/{number}", b"x") for number in range(5))
    store.delete(f"t/d/{number}" for number in range(1, 5))
    assert list(store.keys("t/")) == ["t/d/0"]


def test_ranged(store: Store) -> None:
    """A range is of exactly the content that was examined; a change in between is the deliverer's fault."""
    store.swap(upload("in/a.mov", b"0123456789"), etag=None)
    remote = store.examine(store.bucket, "in/a.mov")
    assert remote
    assert remote.size == 10
    assert store.ranged(remote, 2, 4) == b"234"
    store.swap(upload("in/a.mov", b"9876543210"), etag=remote.etag)
    with pytest.raises(DeliveryError, match=f"s3://{store.bucket}/in/a.mov changed"):
        store.ranged(remote, 2, 4)
    store.delete(["in/a.mov"])
    with pytest.raises(DeliveryError, match="removed while it was read"):
        store.ranged(remote, 2, 4)


def test_edges(store: Store) -> None:
    """Edges read public objects by their secret; nobody else reads anything, and they read nothing else."""
    store.allow_edges("a secret")
    store.put_all(upload(key, b"x") for key in ("t/a/init.mp4", "inventories/a.json", "attempts/a/1/x"))
    at = f"http://{store.host}/{store.bucket}"

    def status(key: str, referer: str) -> int:
        try:
            with urlopen(Request(f"{at}/{key}", headers={"Referer": referer})) as answer:
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    assert status("t/a/init.mp4", "a secret") == 200
    assert status("t/a/init.mp4", "a guess") == 403
    assert status("inventories/a.json", "a secret") == 403
    assert status("attempts/a/1/x", "a secret") == 403


def test_suitable(store: Store) -> None:
    """The store that we ship passes the check, which leaves nothing behind."""
    store.check_conditional_writes()
    assert list(store.keys("")) == []


@pytest.mark.parametrize(
    ("forgets", "sentence"),
    [
        (["if-none-match"], "does not honour If-None-Match"),
        (["if-match"], "does not honour If-Match"),
        (["x-amz-checksum-sha256"], "does not give back the sha256"),
        (["content-type"], "does not keep Content-Type"),
    ],
)
def test_unsuitable(forgets: list[str], sentence: str) -> None:
    """A store that forgets what we rely on is refused, by what it forgets."""
    with careless_store(forgets) as endpoint:
        store = Store(endpoint=endpoint, region="us-east-1", bucket="careless", access_key="a", secret_key="b")
        with pytest.raises(ConfigurationError, match=sentence):
            store.check_conditional_writes()
        store.close()


def test_careful_fake() -> None:
    """The fake that forgets nothing passes: what it forgets is what is found."""
    with careless_store([]) as endpoint:
        store = Store(endpoint=endpoint, region="us-east-1", bucket="careful", access_key="a", secret_key="b")
        store.check_conditional_writes()
        store.close()


def test_wrong_credentials(store_service: StoreService, store: Store) -> None:
    """Wrong credentials are a sentence that does not tell them."""
    wrong = Store(
        endpoint=store_service.endpoint,
        region="us-east-1",
        bucket=store.bucket,
        access_key=store_service.secrets.access_key,
        secret_key="not-the-secret",
    )
    with pytest.raises(ConfigurationError, match="refuses the credentials") as raised:
        wrong.put_once(upload("t/a", b"x"))
    with pytest.raises(ConfigurationError, match="refuses access"):
        wrong.head("t/a")
    wrong.close()
    assert "not-the-secret" not in f"{raised.value!r} {raised.value.__cause__!r} {wrong!r} {wrong._connection!r}"


def test_no_bucket(store_service: StoreService) -> None:
    """A bucket that does not exist is a sentence that names it, and is not made in passing."""
    store = store_service.bucket("absent-bucket")
    with pytest.raises(ConfigurationError, match="has no bucket `absent-bucket`"):
        store.put_once(upload("t/a", b"x"))
    store.close()


def test_store_down(unused_port: int) -> None:
    """A store that is down is a sentence, and may be tried again."""
    store = Store(
        endpoint=f"http://127.0.0.1:{unused_port}", region="us-east-1", bucket="any", access_key="a", secret_key="b"
    )
    with pytest.raises(StoreError, match=f"The object store at 127.0.0.1:{unused_port} does not answer") as raised:
        store.head("t/a")
    store.close()
    assert raised.value.retryable

"""A real nginx with the configuration that we ship, before an origin that counts; and before a real store."""

import gzip
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Semaphore
from urllib.parse import urlsplit

import pytest
import urllib3

from pipelines import layout
from pipelines.errors import ConfigurationError, EdgeError
from pipelines.tools.edge import EdgeClient
from pipelines.tools.s3 import Upload
from scripts import edge
from tests.fakes.origin import IMMUTABLE, Reply, origin
from tests.fakes.sites import SECRET, Ask, Counted, Site

NAME = "a" * 26
SEGMENT = f"/t/{NAME}/00001.m4s"
ENTRY = "/e/s01e01/main.m3u8"
BODY = bytes(range(256)) * 400
HLS = {"Content-Type": "application/vnd.apple.mpegurl"}


def keep(counted: Counted, path: str, reply: Reply) -> None:
    counted.origin.replies["/bucket" + path] = reply


def test_a_miss_then_hits(counted: Counted, ask: Ask) -> None:
    """The first viewer's object comes from the store, everyone else's from the cache: the same bytes and headers."""
    keep(counted, SEGMENT, Reply(body=BODY))
    first, second = (ask("GET", counted.edge.url + SEGMENT) for _ in range(2))
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    assert first.data == second.data == BODY
    assert second.headers["Cache-Control"] == IMMUTABLE["Cache-Control"]
    assert second.headers["Content-Type"] == "video/iso.segment"
    assert counted.origin.asked.total() == 1


def test_fifty_at_once_are_one_at_the_origin(counted: Counted, ask: Ask) -> None:
    """However many ask for a cold segment while the origin is slow, it answers once."""
    keep(counted, SEGMENT, Reply(body=BODY))
    counted.origin.open.clear()
    ready = Barrier(51)

    def viewer(_: int) -> bytes:
        ready.wait(20)
        return ask("GET", counted.edge.url + SEGMENT).data

    with ThreadPoolExecutor(50) as crowd:
        answers = crowd.map(viewer, range(50))
        ready.wait(20)
        while not counted.origin.asked:
            pass
        counted.origin.open.set()
        assert all(body == BODY for body in answers)
    assert counted.origin.asked.total() == 1


def test_a_crowd_at_an_entry_point_is_one_request_a_second(counted: Counted, ask: Ask) -> None:
    """Before T all viewers ask again and again for what is kept for a second: the store hears of few."""
    keep(counted, ENTRY, Reply(body=b"#EXTM3U\n", headers={**HLS, "Cache-Control": layout.NOT_YET}))
    until = time.monotonic() + 2.5

    def viewer(_: int) -> int:
        asked = 0
        while time.monotonic() < until:
            assert ask("GET", counted.edge.url + ENTRY).status == 200
            asked += 1
        return asked

    with ThreadPoolExecutor(16) as crowd:
        asked = sum(crowd.map(viewer, range(16)))
    assert asked > 100
    assert counted.origin.asked.total() <= 3


def test_what_was_not_there_is_asked_for_again(counted: Counted, ask: Ask) -> None:
    """Neither 404 nor 403 is remembered: an object that appears is seen at once."""
    for status in (404, 403):
        keep(counted, SEGMENT, Reply(status=status, body=b"<BucketName>bucket</BucketName>"))
        refused = ask("GET", counted.edge.url + SEGMENT)
        assert refused.status == 404
        assert refused.headers["Cache-Control"] == "no-store"
        assert b"bucket" not in refused.data.lower()
    keep(counted, SEGMENT, Reply(body=BODY))
    assert ask("GET", counted.edge.url + SEGMENT).status == 200


@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("span", [("10-19", 10, 19), ("-5", 102395, 102399), ("102399-", 102399, 102399)])
def test_ranges_are_cut_from_the_whole(counted: Counted, ask: Ask, state: str, span: tuple[str, int, int]) -> None:
    """A part is exact, cold or warm; the store is asked for the whole, once."""
    keep(counted, SEGMENT, Reply(body=BODY))
    if state == "warm":
        ask("GET", counted.edge.url + SEGMENT)
    asked, first, last = span
    part = ask("GET", counted.edge.url + SEGMENT, Range=f"bytes={asked}")
    assert (part.status, part.data) == (206, BODY[first : last + 1])
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(BODY)}"
    assert ask("GET", counted.edge.url + SEGMENT).data == BODY
    assert counted.origin.asked.total() == 1
    assert "range" not in counted.origin.heard


def test_a_range_beyond_the_end_is_refused(counted: Counted, ask: Ask) -> None:
    """416, as players expect, and readable by them."""
    keep(counted, SEGMENT, Reply(body=BODY))
    ask("GET", counted.edge.url + SEGMENT)
    refused = ask("GET", counted.edge.url + SEGMENT, Range="bytes=200000-")
    assert refused.status == 416
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_head_warms_too(counted: Counted, ask: Ask) -> None:
    """A HEAD is answered from the object, which is then kept."""
    keep(counted, SEGMENT, Reply(body=BODY))
    head = ask("HEAD", counted.edge.url + SEGMENT)
    assert (head.status, head.headers["Content-Length"], head.data) == (200, str(len(BODY)), b"")
    assert ask("GET", counted.edge.url + SEGMENT).headers["X-Cache-Status"] == "HIT"


def test_nothing_of_a_viewers_request_reaches_the_store(counted: Counted, ask: Ask) -> None:
    """Only the path goes on: no query splits the cache, no header steers the store."""
    keep(counted, SEGMENT, Reply(body=BODY))
    hostile = {"Cookie": "a=b", "Authorization": "AWS4 x", "Referer": "me", "If_None_Match": "x", "X_Amz_Date": "1"}
    assert ask("GET", f"{counted.edge.url}{SEGMENT}?versionId=1", **hostile).status == 200
    assert ask("GET", f"{counted.edge.url}{SEGMENT}?x=2", Host="elsewhere").headers["X-Cache-Status"] == "HIT"
    assert set(counted.origin.heard) == {"host", "referer"}
    assert counted.origin.heard["referer"] == SECRET
    assert list(counted.origin.asked) == ["/bucket" + SEGMENT]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/t/",
        f"/t/{NAME}/",
        "/attempts/encode-1/1/out.mp4",
        "/inventories/aaaaaaaaaaaaaaaaaaaaaaaaaa.json",
        "/e/s01e01/secret.json",
        f"/t/{NAME}/../../attempts/x.mp4",
        f"/t/{NAME}/..%2f..%2finventories%2fa.json",
        f"/t/{NAME}/%2e%2e/%2e%2e/attempts/x.mp4",
        f"/t/{NAME}/a%0d%0ax.mp4",
        f"/t/{NAME}/x.mp4%3facl",
        f"//t/{NAME}/nested/x.mp4",
    ],
)
def test_only_public_places_exist(counted: Counted, ask: Ask, path: str) -> None:
    """Whatever else is asked for, in whatever spelling, is 404 without the store being asked."""
    address = urlsplit(counted.edge.url)
    with urllib3.HTTPConnectionPool(address.hostname or "", address.port, retries=False) as raw:
        assert raw.urlopen("GET", path).status == 404
    assert not counted.origin.asked


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_viewers_can_not_write(counted: Counted, ask: Ask, method: str) -> None:
    """Only GET and HEAD mean anything."""
    assert ask(method, counted.edge.url + SEGMENT).status == 405
    assert not counted.origin.asked


def test_every_answer_may_be_read_by_a_player_in_a_browser(counted: Counted, ask: Ask) -> None:
    """CORS stands on answers and errors alike, once; a preflight is answered without the store."""
    keep(counted, SEGMENT, Reply(body=BODY, headers={**IMMUTABLE, "Access-Control-Allow-Origin": "https://elsewhere"}))
    keep(counted, ENTRY, Reply(status=500))
    answers = [
        ask("GET", counted.edge.url + SEGMENT),
        ask("GET", counted.edge.url + SEGMENT, Range="bytes=0-1"),
        ask("GET", counted.edge.url + "/nowhere"),
        ask("GET", counted.edge.url + ENTRY),
        ask("POST", counted.edge.url + SEGMENT),
        ask("OPTIONS", counted.edge.url + SEGMENT, Origin="https://a", Access_Control_Request_Headers="range"),
    ]
    assert [answer.status for answer in answers] == [200, 206, 404, 502, 405, 204]
    for answer in answers:
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    assert answers[-1].headers["Access-Control-Allow-Headers"] == "Range"
    assert [answer.headers.get("Cache-Control") for answer in answers[2:5]] == ["no-store"] * 3


def test_playlists_are_compressed_and_media_is_not(counted: Counted, ask: Ask) -> None:
    """HLS authoring wants playlists compressed; a segment would only lose its length."""
    playlist = b"#EXTINF:5.760000,\n00001.m4s\n" * 200
    keep(counted, f"/v/{NAME}/main.m3u8", Reply(body=playlist, headers={**HLS, "Cache-Control": layout.IMMUTABLE}))
    keep(counted, SEGMENT, Reply(body=BODY))
    packed = ask("GET", f"{counted.edge.url}/v/{NAME}/main.m3u8", Accept_Encoding="gzip")
    assert gzip.decompress(packed.data) == playlist
    assert ask("GET", counted.edge.url + SEGMENT, Accept_Encoding="gzip").data == BODY


def test_after_t_an_entry_point_outlives_its_store(counted: Counted, ask: Ask) -> None:
    """`stale-if-error`: while the store fails, viewers get what was released."""
    kept = layout.RELEASED.replace("max-age=5", "max-age=1")
    keep(counted, ENTRY, Reply(body=b"#EXTM3U\n", headers={**HLS, "Cache-Control": kept}))
    assert ask("GET", counted.edge.url + ENTRY).status == 200
    counted.origin.asked.clear()
    keep(counted, ENTRY, Reply(status=503))
    until = time.monotonic() + 10
    while not counted.origin.asked and time.monotonic() < until:
        assert ask("GET", counted.edge.url + ENTRY).status == 200
    assert counted.origin.asked
    assert ask("GET", counted.edge.url + ENTRY).data == b"#EXTM3U\n"


def test_before_t_an_entry_point_is_never_stale(counted: Counted, ask: Ask) -> None:
    """A store that fails before T must not pin "not yet" beyond T: rather no answer than an old one."""
    keep(counted, ENTRY, Reply(body=b"#EXTM3U\n", headers={**HLS, "Cache-Control": layout.NOT_YET}))
    assert ask("GET", counted.edge.url + ENTRY).status == 200
    keep(counted, ENTRY, Reply(status=503))
    begun = time.monotonic()
    while ask("GET", counted.edge.url + ENTRY).status == 200:
        assert time.monotonic() < begun + 10
    assert time.monotonic() < begun + 3.5


def test_what_is_warm_stays_warm_through_a_restart(nginx: None, tmp_path: Path, ask: Ask) -> None:
    """Address and cache outlive the process, so that a proof of warmth does."""
    folder = tmp_path / "edge"
    with origin() as behind:
        behind.replies["/bucket" + SEGMENT] = Reply(body=BODY)
        with edge.running(folder, behind.endpoint, "bucket", SECRET) as first:
            ask("GET", first.url + SEGMENT)
        with edge.running(folder, behind.endpoint, "bucket", SECRET) as second:
            assert second == first
            assert ask("GET", second.url + SEGMENT).headers["X-Cache-Status"] == "HIT"


def test_the_secret_is_in_no_log_and_no_readable_file(counted: Counted, ask: Ask) -> None:
    """Who reads the edge's folder or its answers can't read the bucket."""
    ask("GET", counted.edge.url + SEGMENT, Referer="x")
    config = counted.folder / "nginx.conf"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    logs = [path for path in counted.folder.glob("*") if path.is_file() and path != config]
    assert logs
    assert not any(SECRET.encode() in path.read_bytes() for path in logs)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


DYING = """
import sys
from pathlib import Path
from scripts import edge
with edge.running(Path(sys.argv[1]), "http://127.0.0.1:9", "bucket", "s" * 32) as up:
    print(up.url, flush=True)
    sys.stdin.read()
"""


def test_an_edge_does_not_outlive_whoever_started_it(nginx: None, tmp_path: Path, ask: Ask) -> None:
    """Killed without a chance to clean up, no nginx is left listening."""
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path / "edge")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        url = starter.stdout.readline().strip()
        assert ask("GET", url + "/").status == 404
        starter.send_signal(signal.SIGKILL)
    address = urlsplit(url)
    until = time.monotonic() + 10
    while listening(address.port or 0):
        assert time.monotonic() < until


def test_the_player_stands_at_the_door_only_when_asked(nginx: None, tmp_path: Path, ask: Ask) -> None:
    """The page plays what the fragment names; nothing else of its folder is served."""
    with edge.running(tmp_path / "edge", "http://127.0.0.1:9", "bucket", SECRET, player=True) as local:
        page = ask("GET", local.url + "/")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html")
        assert b"release.json" in page.data
        assert ask("GET", local.url + "/index.html").status == 404


@pytest.mark.parametrize(
    ("origin_endpoint", "secret", "said"),
    [
        ("https://store:443", SECRET, "is not http://host:port"),
        ("store:9000", SECRET, "is not http://host:port"),
        ("http://store:9000", 'x"; return 200; #aaaaaaa', "secret is not"),
        ("http://store:9000", "short", "secret is not"),
    ],
)
def test_what_can_not_be_configured_is_said(tmp_path: Path, origin_endpoint: str, secret: str, said: str) -> None:
    """A value that would mean something else to nginx never reaches it."""
    with pytest.raises(ConfigurationError, match=said):
        edge.configuration(
            tmp_path, tmp_path, listen="127.0.0.1:1", origin_endpoint=origin_endpoint, bucket="b", secret=secret
        )


def test_a_missing_nginx_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and what to install."""
    monkeypatch.setattr(edge, "PATH", str(tmp_path))
    local = edge.running(tmp_path / "edge", "http://127.0.0.1:9", "bucket", SECRET)
    with pytest.raises(ConfigurationError, match="nginx is not installed") as refused, local:
        pass
    assert "apt-get install nginx-light" in refused.value.hint


def test_the_client_counts_what_the_store_holds(counted: Counted) -> None:
    """A compressed playlist has its plain size, and header names are in lower case."""
    playlist = b"#EXTINF:5.760000,\n00001.m4s\n" * 200
    key = f"v/{NAME}/main.m3u8"
    keep(counted, "/" + key, Reply(body=playlist, headers={**HLS, "Cache-Control": layout.IMMUTABLE}))
    with EdgeClient("paris", counted.edge.url) as client:
        first, second = client.fetch(key), client.fetch(key)
    assert (first.status, first.size, second.size) == (200, len(playlist), len(playlist))
    assert (second.headers["content-encoding"], second.headers["x-cache-status"]) == ("gzip", "HIT")


def test_the_client_knows_what_it_can_not_count() -> None:
    """Brotli, which we can't undo, leaves the size open; a redirect is the answer, not a way."""
    with origin() as somewhere, EdgeClient("paris", somewhere.endpoint + "/") as client:
        somewhere.replies["/a"] = Reply(body=b"packed", headers={"Content-Encoding": "br"})
        somewhere.replies["/b"] = Reply(status=302, headers={"Location": f"{somewhere.endpoint}/a"})
        assert client.fetch("a").size is None
        assert client.fetch("b").status == 302


def test_an_edge_that_is_down_is_named() -> None:
    """The operator reads which one, and where."""
    with EdgeClient("paris", "http://127.0.0.1:9") as client, pytest.raises(EdgeError) as failed:
        client.fetch("t/a/init.mp4")
    assert failed.value.message.startswith("Edge paris (http://127.0.0.1:9) does not answer")


def test_the_bucket_is_open_to_the_edge_alone(site: Site, ask: Ask) -> None:
    """The store itself answers 403 to viewers; through the edge they read what is public, and only that."""
    public, private = f"t/{NAME}/init.mp4", f"attempts/{NAME}/1/init.mp4"
    for key in (public, private):
        kind = layout.content_type(key)
        site.store.put_once(Upload(key=key, body=BODY, content_type=kind, cache_control=layout.IMMUTABLE))
    straight = f"http://{site.store.host}/{site.store.bucket}/"
    assert [ask("GET", straight + key).status for key in (public, private)] == [403, 403]
    assert ask("GET", straight + public, Referer="guessed").status == 403
    answer = ask("GET", f"{site.edge.url}/{public}")
    assert (answer.status, answer.data) == (200, BODY)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("video/mp4", layout.IMMUTABLE)
    assert ask("GET", f"{site.edge.url}/{private}").status == 404
    assert {name.lower() for name in answer.headers if not name.startswith("Access-Control-")} == {
        "accept-ranges",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "server",
        "x-cache-status",
        "x-content-type-options",
    }
    assert answer.headers["Server"] == "nginx"


def test_many_viewers_of_a_closed_gate(counted: Counted, ask: Ask) -> None:
    """Requests that wait for one another all get an answer, even when that is an error."""
    keep(counted, SEGMENT, Reply(status=500))
    waiting = Semaphore(0)

    def viewer(_: int) -> int:
        waiting.release()
        return ask("GET", counted.edge.url + SEGMENT).status

    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(viewer, range(8))) == {502}

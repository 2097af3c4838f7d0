"""What every edge promises viewers and the store, whichever server it is. Each test runs against both."""

import gzip
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import urllib3

from pipelines import layout
from tests.fakes.crowd import crowd
from tests.fakes.edges import Stage, did
from tests.fakes.origin import IMMUTABLE, Reply
from tests.fakes.sites import SECRET, Ask

BODY = bytes(range(256)) * 400
PLAYLIST = b"#EXTINF:5.760000,\n00001.m4s\n" * 200


def test_a_miss_then_hits(stage: Stage, ask: Ask) -> None:
    """The first viewer's object comes from the store, everyone else's from the cache: the same bytes and headers."""
    stage.keep(stage.segment, Reply(body=BODY))
    first, second = (ask("GET", stage.edge.url + stage.segment) for _ in range(2))
    assert [did(answer) for answer in (first, second)] == [["edge; fwd=uri-miss"], ["edge; hit"]]
    assert first.data == second.data == BODY
    assert second.headers["Cache-Control"] == IMMUTABLE["Cache-Control"]
    assert second.headers["Content-Type"] == "video/iso.segment"
    assert stage.origin.asked.total() == 1


@pytest.mark.parametrize("path", ["segment", "entry"])
@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_error_is_believed_for_one_answer(stage: Stage, ask: Ask, path: str, status: int) -> None:
    """What was not there, or failed, is asked for again: it is seen as soon as it appears."""
    where = getattr(stage, path)
    stage.keep(where, Reply(status=status, body=b"<BucketName>bucket</BucketName>"))
    refused = ask("GET", stage.edge.url + where)
    assert refused.status == (404 if status < 500 else 502)
    assert refused.headers["Cache-Control"] == "no-store"
    assert b"bucket" not in refused.data.lower()
    stage.keep(where, Reply(body=BODY, headers={**IMMUTABLE, "Cache-Control": layout.NOT_YET}))
    assert ask("GET", stage.edge.url + where).status == 200


@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("span", [("10-19", 10, 19), ("-5", 102395, 102399), ("102399-", 102399, 102399)])
def test_ranges_are_cut_from_the_whole(stage: Stage, ask: Ask, state: str, span: tuple[str, int, int]) -> None:
    """A part is exact, cold or warm; the store is asked for the whole, once."""
    stage.keep(stage.segment, Reply(body=BODY))
    if state == "warm":
        ask("GET", stage.edge.url + stage.segment)
    asked, first, last = span
    part = ask("GET", stage.edge.url + stage.segment, Range=f"bytes={asked}")
    assert (part.status, part.data) == (206, BODY[first : last + 1])
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(BODY)}"
    assert ask("GET", stage.edge.url + stage.segment).data == BODY
    assert stage.origin.asked.total() == 1
    assert "range" not in stage.origin.heard


@pytest.mark.parametrize("asked", ["bytes=200000-", "bytes=102400-102401", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(stage: Stage, ask: Ask, asked: str) -> None:
    """416, as players expect, readable by them, and not for keeping."""
    stage.keep(stage.segment, Reply(body=BODY))
    ask("GET", stage.edge.url + stage.segment)
    refused = ask("GET", stage.edge.url + stage.segment, Range=asked)
    assert refused.status == 416
    assert refused.headers["Content-Range"] == f"bytes */{len(BODY)}"
    assert refused.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert refused.headers["Cache-Control"].endswith("no-store")


@pytest.mark.parametrize(
    "asked", ["bytes=0-0,5-9", "bytes=9-5", "bytes=a-", "bytes=-", "items=0-5", "bytes=0-" + 20 * "9"]
)
def test_no_answer_but_the_object_may_be_kept(stage: Stage, ask: Ask, asked: str) -> None:
    """Whatever Range somebody makes up, an answer with the object's long life is the object or a part of it."""
    stage.keep(stage.segment, Reply(body=BODY))
    ask("GET", stage.edge.url + stage.segment)
    answer = ask("GET", stage.edge.url + stage.segment, Range=asked)
    assert answer.status in (200, 206) or answer.headers["Cache-Control"].endswith("no-store")
    assert answer.status != 200 or answer.data == BODY


def test_head_warms_too(stage: Stage, ask: Ask) -> None:
    """A HEAD is answered from the object, which is then kept."""
    stage.keep(stage.segment, Reply(body=BODY))
    head = ask("HEAD", stage.edge.url + stage.segment)
    assert (head.status, head.headers["Content-Length"], head.data) == (200, str(len(BODY)), b"")
    assert did(ask("GET", stage.edge.url + stage.segment)) == ["edge; hit"]


def test_nothing_of_a_viewers_request_reaches_the_store(stage: Stage, ask: Ask) -> None:
    """Only the path goes on: no query splits the cache, no header that a store listens to steers it."""
    stage.keep(stage.segment, Reply(body=BODY))
    hostile = {"Cookie": "a=b", "Authorization": "AWS4 x", "Referer": "me", "If_None_Match": "x", "X_Amz_Date": "1"}
    also = {"Avant_Episode": "other", "Origin": "https://a", "X_Forwarded_For": "10.0.0.1", "User_Agent": "a"}
    assert ask("GET", f"{stage.edge.url}{stage.segment}?versionId=1", **hostile, **also).status == 200
    assert did(ask("GET", f"{stage.edge.url}{stage.segment}?x=2", Host="elsewhere")) == ["edge; hit"]
    assert set(stage.origin.heard) == {"host", "referer"}
    assert stage.origin.heard["referer"] == SECRET
    assert list(stage.origin.asked) == ["/bucket" + stage.segment]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/t/",
        "/t/NAME/",
        "/attempts/encode-1/1/out.mp4",
        "/inventories/aaaaaaaaaaaaaaaaaaaaaaaaaa.json",
        "/e/s01e01/secret.json",
        "/k/s01e01~9999999999~00000000000000000000000000000000/t/NAME/00001.m4s",
        "/t/NAME/../../attempts/x.mp4",
        "/t/NAME/..%2f..%2finventories%2fa.json",
        "/t/NAME/%2e%2e/%2e%2e/attempts/x.mp4",
        "/t/NAME/a%0d%0ax.mp4",
        "/t/NAME/x.mp4%3facl",
        "/t/NAME/00001.m4s%0a",
        "/e/NAME/main.m3u8%0a",
        "//t/NAME/nested/x.mp4",
    ],
)
def test_only_public_places_exist(stage: Stage, path: str) -> None:
    """Whatever else is asked for, in whatever spelling, is 404 without the store being asked."""
    address = urlsplit(stage.edge.url)
    with urllib3.HTTPConnectionPool(address.hostname or "", address.port, retries=False) as raw:
        assert raw.urlopen("GET", path.replace("NAME", stage.name)).status == 404
    assert not stage.origin.asked


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_viewers_can_not_write(stage: Stage, ask: Ask, method: str) -> None:
    """Only GET and HEAD mean anything."""
    assert ask(method, stage.edge.url + stage.segment).status == 405
    assert not stage.origin.asked


def test_every_answer_may_be_read_by_a_player_in_a_browser(stage: Stage, ask: Ask) -> None:
    """CORS stands on answers and errors alike, once; a preflight is answered without the store."""
    stage.keep(stage.segment, Reply(body=BODY, headers={**IMMUTABLE, "Access-Control-Allow-Origin": "https://else"}))
    stage.keep(stage.entry, Reply(status=500))
    where = stage.edge.url + stage.segment
    answers = [
        ask("GET", where),
        ask("GET", where, Range="bytes=0-1"),
        ask("GET", stage.edge.url + "/nowhere"),
        ask("GET", stage.edge.url + stage.entry),
        ask("POST", where),
        ask("OPTIONS", where, Origin="https://a", Access_Control_Request_Headers="range"),
    ]
    assert [answer.status for answer in answers] == [200, 206, 404, 502, 405, 204]
    for answer in answers:
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert {"Content-Range", "Cache-Status"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert answers[-1].headers["Access-Control-Allow-Headers"] == "Range"
    assert answers[-1].headers["Access-Control-Max-Age"] == "86400"
    assert [answer.headers.get("Cache-Control") for answer in answers[2:5]] == ["no-store"] * 3


def test_what_a_browser_has_is_not_sent_again(stage: Stage, ask: Ask) -> None:
    """304, readable like any answer, without asking the store."""
    stage.keep(stage.segment, Reply(body=BODY, headers={**IMMUTABLE, "ETag": '"one"'}))
    ask("GET", stage.edge.url + stage.segment)
    same = ask("GET", stage.edge.url + stage.segment, If_None_Match='"one"', Origin="https://a")
    assert (same.status, same.data) == (304, b"")
    assert same.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert stage.origin.asked.total() == 1


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        (None, False),
        ("identity", False),
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0", False),
        ("br", False),
    ],
)
def test_a_playlist_is_kept_once_for_all_encodings(stage: Stage, ask: Ask, accepted: str | None, packed: bool) -> None:
    """Whoever warmed it, with whatever Accept-Encoding, every player hits; who can, gets it compressed."""
    stage.says(stage.playlist, PLAYLIST)
    assert ask("GET", stage.edge.url + stage.playlist, Accept_Encoding="gzip, deflate, br").status == 200
    headers = {"Accept_Encoding": accepted} if accepted else {}
    answer = ask("GET", stage.edge.url + stage.playlist, **headers)
    assert did(answer) == ["edge; hit"]
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(answer.data) if packed else answer.data) == PLAYLIST
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert stage.origin.asked.total() == 1


def test_media_is_not_compressed(stage: Stage, ask: Ask) -> None:
    """A segment would only lose its length; and its encoding splits nothing either."""
    stage.keep(stage.segment, Reply(body=BODY))
    answer = ask("GET", stage.edge.url + stage.segment, Accept_Encoding="gzip, deflate, br")
    assert (answer.data, answer.headers["Content-Length"]) == (BODY, str(len(BODY)))
    assert "Vary" not in answer.headers
    assert did(ask("GET", stage.edge.url + stage.segment)) == ["edge; hit"]


@pytest.mark.parametrize("cache_control", [layout.NOT_YET, layout.RELEASED], ids=["before", "after"])
def test_a_thousand_waiting_viewers_are_one_request_a_second(stage: Stage, cache_control: str) -> None:
    """Around T all viewers ask again and again for the same entry point: the store hears of one."""
    stage.says(stage.entry, b"#EXTM3U\n", cache_control)
    begun = time.monotonic()

    def refreshing() -> Iterator[str]:
        while time.monotonic() < begun + 3.0:
            yield stage.entry

    answers = crowd(stage.edge.url, [refreshing() for _ in range(1000)])
    took = time.monotonic() - begun
    assert sum(answers, Counter()).keys() == {200}
    # Of the seconds it took, the first and the last were not whole.
    assert stage.origin.asked.total() <= took + 1


def test_what_is_released_is_seen_within_two_seconds(stage: Stage, ask: Ask) -> None:
    """An edge keeps an entry point for a second, however long browsers may."""
    stage.says(stage.entry, b"#EXTM3U\n## old\n", layout.RELEASED)
    assert ask("GET", stage.edge.url + stage.entry).status == 200
    stage.says(stage.entry, b"#EXTM3U\n## new\n", layout.RELEASED)
    begun = time.monotonic()
    while b"old" in ask("GET", stage.edge.url + stage.entry).data:
        assert time.monotonic() < begun + 2.0


def test_after_t_an_entry_point_outlives_its_store(stage: Stage, ask: Ask) -> None:
    """`stale-if-error`: while the store fails, viewers get what was released, and Cache-Status says so."""
    stage.says(stage.entry, b"#EXTM3U\n", layout.RELEASED)
    assert ask("GET", stage.edge.url + stage.entry).status == 200
    stage.origin.asked.clear()
    stage.keep(stage.entry, Reply(status=503))
    begun = time.monotonic()
    answers = []
    while time.monotonic() < begun + 2.5:
        answers.append(ask("GET", stage.edge.url + stage.entry))
    assert {(answer.status, answer.data) for answer in answers} == {(200, b"#EXTM3U\n")}
    assert did(answers[-1]) == ["edge; fwd=stale; detail=stale-if-error"]
    assert 1 <= stage.origin.asked.total() <= 7


def test_a_crowd_outlives_a_failing_store(stage: Stage, ask: Ask) -> None:
    """Nobody of those who wait while the store fails gets an error, or waits for the others one by one."""
    stage.says(stage.entry, b"#EXTM3U\n", layout.RELEASED)
    assert ask("GET", stage.edge.url + stage.entry).status == 200
    stage.keep(stage.entry, Reply(status=503))
    stage.origin.seconds = 0.5
    stage.origin.asked.clear()
    begun = time.monotonic()

    def refreshing() -> Iterator[str]:
        while time.monotonic() < begun + 3.0:
            yield stage.entry

    answers = crowd(stage.edge.url, [refreshing() for _ in range(100)])
    assert sum(answers, Counter()).keys() == {200}
    assert time.monotonic() < begun + 8
    assert stage.origin.asked.total() <= 10


def test_before_t_an_entry_point_is_never_stale(stage: Stage, ask: Ask) -> None:
    """A store that fails before T must not pin "not yet" beyond T: rather no answer than an old one."""
    stage.says(stage.entry, b"#EXTM3U\n", layout.NOT_YET)
    assert ask("GET", stage.edge.url + stage.entry).status == 200
    stage.keep(stage.entry, Reply(status=503))
    begun = time.monotonic()
    while ask("GET", stage.edge.url + stage.entry).status == 200:
        assert time.monotonic() < begun + 2.5
    assert ask("GET", stage.edge.url + stage.entry).status == 502


@pytest.mark.parametrize("status", [404, 503])
def test_who_waits_shares_even_an_error(stage: Stage, ask: Ask, status: int) -> None:
    """Many who wait for what then fails all get an answer, and the store is not asked by each."""
    stage.keep(stage.segment, Reply(status=status))
    stage.origin.seconds = 0.5

    def viewer(_: int) -> int:
        return ask("GET", stage.edge.url + stage.segment).status

    with ThreadPoolExecutor(4) as waiting:
        assert set(waiting.map(viewer, range(4))) == {404 if status == 404 else 502}
    # nginx lets those who waited ask one after the other, and once more on a connection that had been kept; Varnish
    # gives them the answer they waited for.
    assert stage.origin.asked.total() <= (8 if stage.kind == "nginx" else 1)


def test_who_waited_says_so_where_the_server_knows(stage: Stage, ask: Ask) -> None:
    """RFC 9211's `collapsed` from Varnish; to nginx a request that has waited is a hit like any other."""
    stage.keep(stage.segment, Reply(body=BODY))
    stage.origin.seconds = 1.0

    def viewer(_: int) -> str:
        return did(ask("GET", stage.edge.url + stage.segment))[0]

    with ThreadPoolExecutor(4) as viewers:
        said = Counter(viewers.map(viewer, range(4)))
    waited = {"nginx": "edge; hit", "varnish": "edge; fwd=uri-miss; collapsed"}[stage.kind]
    assert said == {"edge; fwd=uri-miss": 1, waited: 3}


def test_the_secret_is_in_no_log_and_no_readable_file(stage: Stage, ask: Ask) -> None:
    """Who reads the edge's folder or its answers can't read the bucket."""
    answer = ask("GET", stage.edge.url + stage.segment, Referer="x")
    assert SECRET not in f"{answer.headers}{answer.data!r}"
    holding = [p for p in stage.folder.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert [oct(path.stat().st_mode & 0o777) for path in holding] == ["0o600"]

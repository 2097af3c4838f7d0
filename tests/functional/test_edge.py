"""The edge that the demo and the tests use: before a real store, and as our own client sees it."""

import pytest

from pipelines import layout
from pipelines.errors import EdgeError
from pipelines.tools.edge import EdgeClient
from pipelines.tools.s3 import Upload
from tests.fakes.origin import Reply, origin
from tests.fakes.sites import Ask, Counted, Site

NAME = "a" * 26
BODY = bytes(range(256)) * 400
HLS = {"Content-Type": "application/vnd.apple.mpegurl"}


def test_the_client_counts_what_the_store_holds(counted: Counted) -> None:
    """A compressed playlist has its plain size, and header names are in lower case."""
    playlist = b"#EXTINF:5.760000,\n00001.m4s\n" * 200
    key = f"v/{NAME}/main.m3u8"
    reply = Reply(body=playlist, headers={**HLS, "Cache-Control": layout.IMMUTABLE})
    counted.origin.replies["/bucket/" + key] = reply
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
        "cache-status",
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

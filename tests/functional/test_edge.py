"""The edge that the demo and the tests use, as our own client sees it."""

import pytest

from pipelines import layout
from pipelines.errors import EdgeError
from pipelines.tools.edge import EdgeClient
from tests.fakes.origin import Reply, origin
from tests.fakes.sites import Counted

NAME = "a" * 26
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

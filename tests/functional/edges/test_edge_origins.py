"""A second origin, for when the first does not answer. Against both servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import layout
from pipelines.warm import Edge
from scripts.edge.site import Origin as Asked
from scripts.edge.site import Site
from tests.fakes import edges
from tests.fakes.edges import HLS, SERVERS
from tests.fakes.origin import Origin, Reply, origin
from tests.fakes.sites import SECRET, Ask

SPARE = "the-second-bucket-has-its-own-01"
SEGMENT = f"/t/{'a' * 26}/00001.m4s"
ENTRY = "/e/s01e01/main.m3u8"


@pytest.fixture
def second() -> Iterator[Origin]:
    with origin() as spare:
        spare.replies["/spare" + SEGMENT] = Reply(body=b"second")
        yield spare


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    edges.need(name)
    return name


def site(first: str, second: Origin) -> Site:
    stores = (
        Asked(endpoint=first, bucket="bucket", secret=SECRET),
        Asked(endpoint=second.endpoint, bucket="spare", secret=SPARE),
    )
    return Site(origins=stores, cache_size="64m")


def both(edge: Edge, ask: Ask) -> list[bytes]:
    return [ask("GET", edge.url + path).data for path in (SEGMENT, ENTRY)]


def test_the_second_answers_when_nobody_is_there(
    kind: str, second: Origin, unused_port: int, tmp_path: Path, ask: Ask
) -> None:
    """A first origin that refuses connections is no reason to refuse viewers; each is asked in its own way."""
    second.replies["/spare" + ENTRY] = Reply(body=b"entry", headers={**HLS, "Cache-Control": layout.RELEASED})
    with SERVERS[kind](tmp_path, site(f"http://127.0.0.1:{unused_port}", second)) as edge:
        assert both(edge, ask) == [b"second", b"entry"]
    assert second.asked == {"/spare" + SEGMENT: 1, "/spare" + ENTRY: 1}
    assert second.heard == {"host": second.endpoint.removeprefix("http://"), "referer": SPARE}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_second_answers_when_the_first_fails(
    kind: str, second: Origin, tmp_path: Path, ask: Ask, status: int
) -> None:
    """An answer that is a failure is none; once the first is well again, it is asked again."""
    with origin() as first, SERVERS[kind](tmp_path, site(first.endpoint, second)) as edge:
        first.replies["/bucket" + SEGMENT] = Reply(status=status)
        assert ask("GET", edge.url + SEGMENT).data == b"second"
        other = SEGMENT.replace("00001", "00002")
        first.replies["/bucket" + other] = Reply(body=b"first")
        assert ask("GET", edge.url + other).data == b"first"
    assert second.asked.total() == 1


def test_the_second_is_not_asked_for_what_is_not_there(kind: str, second: Origin, tmp_path: Path, ask: Ask) -> None:
    """404 is an answer; and when both fail, that is said."""
    with origin() as first, SERVERS[kind](tmp_path, site(first.endpoint, second)) as edge:
        assert ask("GET", edge.url + SEGMENT).status == 404
        assert not second.asked
        first.replies["/bucket" + SEGMENT] = second.replies["/spare" + SEGMENT] = Reply(status=503)
        refused = ask("GET", edge.url + SEGMENT)
        assert (refused.status, refused.headers["Cache-Control"]) == (502, "no-store")

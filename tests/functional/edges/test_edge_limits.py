"""One episode that everybody wants, and the others: what it may take from them. Against both servers."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.tokens import Tokens
from pipelines.warm import Edge
from scripts.edge.site import Limits
from tests.fakes import edges
from tests.fakes.crowd import crowd
from tests.fakes.edges import KEY, SERVERS, before
from tests.fakes.origin import Origin, Reply, origin
from tests.fakes.sites import Ask

#: Requests a second that one episode may make.
CAPACITY = 100

Start = Callable[[Origin, Limits], AbstractContextManager[Edge]]


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    edges.need(name)
    return name


@pytest.fixture
def start(kind: str, tmp_path: Path) -> Start:
    return lambda behind, limits: SERVERS[kind](tmp_path / "edge", before(behind, token_key=KEY, limits=limits))


def opened(episode: str) -> str:
    return "/k/" + Tokens(key=KEY).token(episode, datetime.now(UTC) + timedelta(hours=1))


def track(nth: int) -> str:
    return f"/t/{nth:026d}/00001.m4s"


@pytest.mark.parametrize("requests", [2_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_a_premiere_takes_nothing_from_the_others(start: Start, requests: int) -> None:
    """While one episode is asked for at three times what it may have, the others' availability stays 100 %."""
    premiere, others = opened("premiere"), 80
    each = requests // others
    # Ten requests a second from every viewer; whatever track is asked for, it is one episode's.
    crush = [[premiere + track(n % 5)] * each for n in range(3 * CAPACITY // 10)]
    calm = [[opened(f"other-{n}") + track(5 + n % 20)] * each for n in range(others)]
    with origin() as behind, start(behind, Limits(asked=CAPACITY)) as edge:
        behind.replies |= {"/bucket" + track(n): Reply(body=b"media" * 200) for n in range(25)}
        answers = crowd(edge.url, [*crush, *calm], every=0.1)
    crushed, served = sum(answers[: len(crush)], Counter()), sum(answers[len(crush) :], Counter())
    assert served.total() == requests
    assert served[200] / requests > 0.999
    assert crushed.keys() == {200, 429}
    assert crushed[429] > crushed.total() / 5


def test_one_episode_can_not_hold_every_connection(start: Start, kind: str, ask: Ask) -> None:
    """nginx: of those who wait for one episode while the store is stuck, no more than its share wait."""
    if kind != "nginx":
        pytest.skip("a request that waits in Varnish holds nothing but its connection")
    premiere, other = opened("premiere"), opened("other")
    with origin() as behind, start(behind, Limits(waiting=20)) as edge, ThreadPoolExecutor(60) as viewers:
        behind.replies |= {"/bucket" + track(n): Reply(body=b"media") for n in range(2)}
        assert ask("GET", edge.url + other + track(1)).status == 200
        behind.open.clear()
        asked = [viewers.submit(ask, "GET", edge.url + premiere + track(0)) for _ in range(60)]
        until = time.monotonic() + 20
        while sum(one.done() for one in asked) < 40:
            assert time.monotonic() < until
        refused = [one.result() for one in asked if one.done()]
        assert {(one.status, one.headers["Cache-Control"], one.headers["Retry-After"]) for one in refused} == {
            (429, "no-store", "1")
        }
        assert ask("GET", edge.url + other + track(1)).status == 200
        behind.open.set()
        assert Counter(one.result().status for one in asked) == {200: 20, 429: 40}


def test_one_episode_can_not_have_the_whole_origin(start: Start, ask: Ask) -> None:
    """Of many cold objects of one episode a share is fetched; another episode's cold object is fetched meanwhile."""
    premiere, other = opened("premiere"), opened("other")
    with origin() as behind, start(behind, Limits(fills=4)) as edge, ThreadPoolExecutor(13) as viewers:
        behind.replies |= {"/bucket" + track(n): Reply(body=b"media") for n in range(13)}
        behind.open.clear()
        asked = [viewers.submit(ask, "GET", edge.url + premiere + track(n)) for n in range(12)]
        until = time.monotonic() + 20
        while sum(one.done() for one in asked) < 8:
            assert time.monotonic() < until
        spared = viewers.submit(ask, "GET", edge.url + other + track(12))
        while not behind.asked["/bucket" + track(12)]:
            assert time.monotonic() < until
        assert behind.asked.total() == 5
        behind.open.set()
        assert spared.result().status == 200
        answers = [one.result() for one in asked]
    assert Counter(answer.status == 200 for answer in answers) == {True: 4, False: 8}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status != 200} == {"1"}


def test_a_player_in_a_browser_can_read_a_refusal(start: Start, ask: Ask) -> None:
    """429 tells every origin when to come again, and nobody keeps it; a part is refused like the whole."""
    premiere = opened("premiere")
    with origin() as behind, start(behind, Limits(asked=1)) as edge:
        behind.replies["/bucket" + track(0)] = Reply(body=b"media")
        answers = [ask("GET", edge.url + premiere + track(0), Range="bytes=0-1", Origin="https://a") for _ in range(6)]
    refused = [one for one in answers if one.status == 429]
    assert refused
    assert {one.status for one in answers} == {206, 429}
    for one in refused:
        assert (one.headers["Cache-Control"], one.headers["Retry-After"]) == ("no-store", "1")
        assert one.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert "Cache-Status" in one.headers["Access-Control-Expose-Headers"]


def test_refusals_are_not_the_episodes(start: Start, ask: Ask) -> None:
    """Who has no token can't use up what an episode may have."""
    good = opened("premiere")
    with origin() as behind, start(behind, Limits(asked=5)) as edge:
        behind.replies["/bucket" + track(0)] = Reply(body=b"media")
        forged = [f"{good[:-3]}000{track(0)}"] * 50
        assert sum(crowd(edge.url, [forged]), Counter()) == {403: 50}
        assert ask("GET", edge.url + good + track(0)).status == 200

"""
A premiere that is wanted three times more than an edge can give, and everything else that people watch meanwhile.

A PoP stands before a shield before a store that can do only so much: without limits, the premiere's cold objects alone
would have all of it. What the edge can do is a figure here, a small one, so that who asks needs less than half of one
core; the limits are four fifths of it, as the manual says.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines import layout
from pipelines.tokens import Tokens
from scripts.edge.site import Limits
from tests.fakes import edges
from tests.fakes.crowd import crowd
from tests.fakes.edges import HLS, KEY
from tests.fakes.origin import Origin, Reply, origin

#: Requests a second that the edge can do, and objects that the store can give at a time and in a second.
EDGE, AT_A_TIME, A_SECOND = 400, 8, 200
#: nginx counts objects on their way, Varnish those begun in a second.
LIMITS = {
    "nginx": Limits(asked=EDGE * 4 // 5, fills=AT_A_TIME // 2),
    "varnish": Limits(asked=EDGE * 4 // 5, fills=A_SECOND * 4 // 5),
}
#: More than are asked for.
NONE = Limits(asked=1_000_000, waiting=100_000, fills=100_000)
#: Seconds between two requests of a viewer; viewers of the premiere, and of eighty other episodes.
EVERY = 0.2
PREMIERE, OTHERS = round(3 * EDGE * EVERY), 80
#: Seconds after which a player has given up.
PATIENCE = 5.0
SHARED = 20


def opened(episode: str) -> str:
    return "/k/" + Tokens(key=KEY).token(episode, datetime.now(UTC) + timedelta(hours=1))


def viewing(episode: str, viewer: str, requests: int, cold: int) -> Iterator[str]:
    """What one viewer asks for: one in `cold` nobody asked for before, one in ten is the entry point."""
    token = opened(episode)
    for nth in range(requests):
        if nth % cold == cold - 1:
            yield f"{token}/t/{viewer:z>26}/{nth:05d}.m4s"
        elif nth % 10 == 0:
            yield f"/e/{episode}/main.m3u8"
        else:
            yield f"{token}/t/{'s' * 26}/{nth % SHARED:05d}.m4s"


def others(run: str, requests: int) -> list[list[str]]:
    return [list(viewing(f"other-{n}", f"{run}{n}", requests // OTHERS, 20)) for n in range(OTHERS)]


def premiere(requests: int) -> list[list[str]]:
    """For as long as `requests` of the others take; every second request is for what nobody asked for before."""
    return [list(viewing("premiere", f"p{n}", requests // OTHERS, 2)) for n in range(PREMIERE)]


@contextmanager
def busy(*crowds: list[list[str]]) -> Iterator[Origin]:
    """A store of all that they ask for, that gives so many objects at a time and a second, and lets the rest wait."""
    slots = threading.BoundedSemaphore(AT_A_TIME)

    def media(_: int) -> Reply:
        with slots:
            threading.Event().wait(AT_A_TIME / A_SECOND)
        return Reply(body=b"media" * 200)

    entry = Reply(body=b"#EXTM3U\n", headers={**HLS, "Cache-Control": layout.RELEASED})
    asked = {re.sub("^/k/[^/]+", "", path) for viewers in crowds for paths in viewers for path in paths}
    with origin() as behind:
        behind.replies = {"/bucket" + path: entry if path.startswith("/e/") else media for path in asked}
        yield behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What two crowds were answered, and what asking for them took of one core."""

    crush: Counter[int]
    calm: Counter[int]
    share: float

    @property
    def available(self) -> float:
        return self.calm[200] / self.calm.total()


def ask(url: str, crush: list[list[str]], calm: list[list[str]]) -> Seen:
    begun, used = time.monotonic(), time.thread_time()
    answers = crowd(url, [*crush, *calm], every=EVERY, within=PATIENCE)
    share = (time.thread_time() - used) / (time.monotonic() - begun)
    crushed, calmed = (sum(part, Counter()) for part in (answers[: len(crush)], answers[len(crush) :]))
    return Seen(crush=crushed, calm=calmed, share=share)


@pytest.mark.parametrize("kind", edges.SERVERS)
@pytest.mark.parametrize("requests", [1_600, pytest.param(20_000, marks=pytest.mark.long)])
def test_other_episodes_do_not_notice_a_premiere(tmp_path: Path, kind: str, requests: int) -> None:
    """Their availability changes by less than a tenth of a point, cold objects and entry points included."""
    alone, crush, beside = others("a", requests // 4), premiere(requests), others("b", requests)
    with (
        busy(alone, crush, beside) as store,
        edges.chain(tmp_path, (kind, kind), store, token_key=KEY, limits=LIMITS[kind]) as (pop, _),
    ):
        before = ask(pop.url, [], alone)
        during = ask(pop.url, crush, beside)
    assert during.calm.total() >= requests
    assert abs(before.available - during.available) < 0.001
    assert during.crush.total() >= 3 * EDGE * (requests / OTHERS) * EVERY
    assert during.crush[429] > during.crush.total() / 2, "the premiere was given more than its share"
    assert during.crush[200] > during.crush.total() / 10, "the premiere was not given its share"
    assert during.share < 0.5


@pytest.mark.long
@pytest.mark.parametrize("kind", edges.SERVERS)
def test_it_is_the_limits_that_spare_them(tmp_path: Path, kind: str) -> None:
    """Without them the same premiere takes the store from the others: what is measured above can fail."""
    crush, beside = premiere(4_000), others("b", 4_000)
    with (
        busy(crush, beside) as store,
        edges.chain(tmp_path, (kind, kind), store, token_key=KEY, limits=NONE) as (pop, _),
    ):
        during = ask(pop.url, crush, beside)
    assert during.available < 0.99

"""
A premiere that is wanted three times more than an edge can give, and everything else that people watch meanwhile.

A PoP stands before a shield before a store that can do only so much: without limits, the premiere's cold objects alone
would have all of it. What the edge can do is a figure here, a small one, so that who asks needs less than half of one
core; the limits are four fifths of it, as the manual says. Without limits, measured once, the others got 67 % of what
they asked for in five seconds (nginx) and 84 % (Varnish).
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
EDGE, AT_A_TIME, A_SECOND = 400, 8, 100
#: nginx counts objects on their way, Varnish those begun in a second.
LIMITS = {
    "nginx": Limits(asked=EDGE * 4 // 5, fills=AT_A_TIME // 2),
    "varnish": Limits(asked=EDGE * 4 // 5, fills=A_SECOND * 4 // 5),
}
#: Each asks once a second: those of the premiere, and those of eighty other episodes, who are all that the edge can do.
PREMIERE, OTHERS, EPISODES = 3 * EDGE, EDGE, 80
#: Seconds after which a player has given up.
PATIENCE = 5.0
SHARED = 20


def opened(episode: str) -> str:
    return "/k/" + Tokens(key=KEY).token(episode, datetime.now(UTC) + timedelta(hours=1))


def viewing(episode: str, viewer: int, name: str, requests: int, cold: int) -> Iterator[str]:
    """What one viewer asks for: one in `cold` nobody asked for before, one in ten is the entry point."""
    token = opened(episode)
    for nth in range(viewer, viewer + requests):
        if nth % cold == cold - 1:
            yield f"{token}/t/{f'{name}{viewer}':z>26}/{nth:05d}.m4s"
        elif nth % 10 == 0:
            yield f"/e/{episode}/main.m3u8"
        else:
            yield f"{token}/t/{'s' * 26}/{nth % SHARED:05d}.m4s"


def others(name: str, seconds: int) -> list[list[str]]:
    return [list(viewing(f"other-{n % EPISODES}", n, name, seconds, 37)) for n in range(OTHERS)]


def premiere(seconds: int) -> list[list[str]]:
    """Every second request is for what nobody asked for before."""
    return [list(viewing("premiere", n, "p", seconds, 2)) for n in range(PREMIERE)]


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
    answers = crowd(url, [*crush, *calm], every=1.0, within=PATIENCE)
    share = (time.thread_time() - used) / (time.monotonic() - begun)
    crushed, calmed = (sum(part, Counter()) for part in (answers[: len(crush)], answers[len(crush) :]))
    return Seen(crush=crushed, calm=calmed, share=share)


@pytest.mark.parametrize("kind", edges.SERVERS)
@pytest.mark.long
@pytest.mark.parametrize("seconds", [4, 50])
def test_other_episodes_do_not_notice_a_premiere(tmp_path: Path, kind: str, seconds: int) -> None:
    """Their availability changes by less than a tenth of a point, cold objects and entry points included."""
    alone, crush, beside = others("a", seconds // 4), premiere(seconds), others("b", seconds)
    with (
        busy(alone, crush, beside) as store,
        edges.chain(tmp_path, (kind, kind), store, token_key=KEY, limits=LIMITS[kind]) as (pop, _),
    ):
        before = ask(pop.url, [], alone)
        during = ask(pop.url, crush, beside)
    assert during.calm.total() == seconds * OTHERS
    assert abs(before.available - during.available) < 0.001
    assert during.crush.total() == seconds * PREMIERE
    assert during.crush[429] > during.crush.total() / 2, "the premiere was given more than its share"
    assert during.crush[200] > during.crush.total() / 10, "the premiere was not given its share"
    assert during.share < 0.5

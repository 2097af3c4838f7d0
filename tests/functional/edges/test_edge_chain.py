"""A PoP before a shield before the origin, of either kind and mixed. Each test runs against all four."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from pipelines import layout
from tests.fakes.crowd import crowd
from tests.fakes.edges import DOOR, Chain, did
from tests.fakes.origin import Reply
from tests.fakes.sites import Ask

BODY = bytes(range(256)) * 400


def test_a_hundred_at_once_are_one_at_a_slow_origin(linking: Chain, slow: float, ask: Ask) -> None:
    """However many ask for a cold segment while the origin is slow, it is asked once."""
    linking.keep(linking.segment, Reply(body=BODY))
    linking.origin.seconds = slow
    ready = Barrier(100)

    def viewer(_: int) -> bytes:
        ready.wait(60)
        return ask("GET", linking.pop.url + linking.segment).data

    with ThreadPoolExecutor(100) as viewers:
        assert set(viewers.map(viewer, range(100))) == {BODY}
    assert linking.origin.asked.total() == 1


def test_two_caches_tell_what_each_did(linking: Chain, ask: Ask) -> None:
    """RFC 9211: the shield first, the PoP last; every header that both give stands once."""
    linking.keep(linking.segment, Reply(body=BODY))
    first, second = (ask("GET", linking.pop.url + linking.segment) for _ in range(2))
    again = ask("GET", linking.shield.url + linking.segment, Referer=DOOR)
    assert did(first) == ["shield; fwd=uri-miss", "pop; fwd=uri-miss"]
    assert did(second) == ["shield; fwd=uri-miss", "pop; hit"]
    assert did(again) == ["shield; hit"]
    for name in ("Access-Control-Allow-Origin", "Cache-Control", "X-Content-Type-Options"):
        assert len(second.headers.getlist(name)) == 1


def test_a_shield_knows_its_pops(linking: Chain, ask: Ask) -> None:
    """Media at a shield wants no token: so only who knows its door's secret is answered, warm or cold."""
    linking.keep(linking.segment, Reply(body=BODY))
    ask("GET", linking.pop.url + linking.segment)
    for headers in ({}, {"Referer": "guessed"}):
        refused = ask("GET", linking.shield.url + linking.segment, **headers)
        assert (refused.status, refused.headers["Cache-Control"]) == (403, "no-store")


def test_a_flip_is_seen_through_both(linking: Chain, ask: Ask) -> None:
    """New sessions see what is released within three seconds; the store hears of one request a second."""
    linking.says(linking.entry, b"old", layout.RELEASED)
    assert ask("GET", linking.pop.url + linking.entry).data == b"old"
    linking.says(linking.entry, b"new", layout.RELEASED)
    begun = time.monotonic()

    def refreshing() -> Iterator[str]:
        while time.monotonic() < begun + 2.5:
            yield linking.entry

    answers = crowd(linking.pop.url, [refreshing() for _ in range(20)])
    took = time.monotonic() - begun
    assert ask("GET", linking.pop.url + linking.entry).data == b"new"
    assert sum(answers, Counter()).keys() == {200}
    assert linking.origin.asked.total() <= took + 2


def test_a_playlist_is_one_object_in_both(linking: Chain, ask: Ask) -> None:
    """Compressed for who can, plain for who can't; neither cache fetches it twice."""
    body = b"#EXTINF:5.760000,\n00001.m4s\n" * 200
    linking.says(linking.playlist, body)
    packed = ask("GET", linking.pop.url + linking.playlist, Accept_Encoding="gzip, deflate, br")
    plain = ask("GET", linking.pop.url + linking.playlist)
    assert (packed.headers["Content-Encoding"], plain.data) == ("gzip", body)
    assert did(plain)[-1] == "pop; hit"
    assert packed.headers.getlist("Vary") == plain.headers.getlist("Vary") == ["Accept-Encoding"]
    assert linking.origin.asked.total() == 1

"""
The night before: somebody who knows every name asks for an episode at every door, and a thousand viewers wait.

The doors are a PoP of either kind, which wants tokens; the shield behind each, of the other kind, which wants its
PoPs; and the store behind both, which wants its edges. The store is a real one.
"""

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from pipelines import layout
from pipelines.release import Ref, entry_points, mirror
from pipelines.tokens import Tokens
from pipelines.tools.s3 import Store, Upload
from scripts.edge.site import Limits, Origin, Site
from tests.conftest import StoreService
from tests.fakes import edges
from tests.fakes.crowd import crowd
from tests.fakes.edges import DOOR, KEY, SERVERS, Chain, did
from tests.fakes.probes import Answer, Probe, answers, probes, spellings
from tests.fakes.sites import Ask

#: Stands in every object of the episode.
MARK = b"the-premiere-itself"
EPISODE = "s07e01"
#: More than we can ask for: limits have tests of their own.
FREE = Limits(asked=1_000_000)
TOKENS = Tokens(key=KEY)
SOON = datetime.now(UTC) + timedelta(hours=1)
#: A viewer's of another episode: it opens media, whose names nobody tells; and nothing else.
OTHERS = "/k/" + TOKENS.token("s06e10", SOON)
GOOD = TOKENS.token(EPISODE, SOON)
SAID, MAC = GOOD.rpartition("~")[::2]
FORGED = tuple(
    f"/k/{token}"
    for token in (
        TOKENS.token(EPISODE, datetime.now(UTC) - timedelta(seconds=1)),
        Tokens(key=KEY[::-1]).token(EPISODE, SOON),
        f"{SAID}~{'0' * 32}",
        f"{SAID}~{MAC.upper()}",
        f"{SAID}~{MAC[:-1]}",
        f"{SAID}~",
        SAID,
        f"{EPISODE}~9999999999~{MAC}",
        f"{EPISODE}~99999999999~{MAC}",
        f"s07e02~{SAID.partition('~')[2]}~{MAC}",
        f"{OTHERS.rpartition('/')[2]}~9999999999~{MAC}",
        GOOD.replace("~", "%7e", 1)[:-1] + "0",
        "",
        "..",
        "%00",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What is in the store of an episode that is not released, and the doors before it."""

    store: Store
    doors: Mapping[str, str]
    warm: tuple[str, ...]
    cold: tuple[str, ...]
    private: tuple[str, ...]
    entries: Mapping[str, bytes]
    #: A name that nobody asks for: who says it has told what there is.
    untold: str

    def pools(self, door: str) -> list[list[str]]:
        """What to ask for: everything as it is called, in other spellings, and with tokens that are none."""
        asked = [*self.warm, *self.cold, *self.private, *self.entries, f"/t/{'a' * 26}/init.mp4", "/t/", "/v/", "/e/"]
        spelled = [way for path in asked for way in spellings(path, EPISODE, self.store.bucket)]
        tokened = [token + way for token, way in product(FORGED, (*asked, *spelled)) if way.startswith("/")]
        beside = [f"{self.warm[0].rpartition('/')[0]}/../..{path}" for path in self.private]
        beside += [way for path in self.private for way in spellings(path, EPISODE, self.store.bucket)]
        others = [OTHERS + way for way in beside if way.startswith("/") and "/e/" not in way]
        pools = [asked, spelled, tokened, others]
        if door == "store":
            pools[:2] = [[f"/{self.store.bucket}/{way.removeprefix('/')}" for way in pool] for pool in pools[:2]]
        return pools

    def leaks(self, probe: Probe, answer: Answer) -> bool:
        """Whether an answer tells or gives anything but "not yet"."""
        if MARK in answer.body + answer.wire or self.untold.encode() in answer.wire:
            return True
        if answer.status >= 400 or not answer.status:
            return False
        if probe.method == "OPTIONS" and answer.status in (200, 204) and not answer.body:
            return False
        parts = answer.headers.get("content-type", "").startswith("multipart/byteranges")
        whole = parts or any(answer.body in body for body in self.entries.values())
        return not (whole and answer.headers.get("cache-control") == layout.NOT_YET)


@pytest.fixture(scope="module")
def closed(
    store_service: StoreService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, dict[str, str]]]:
    """A bucket, and where each door to it is."""
    folder = tmp_path_factory.mktemp("night")
    store = store_service.bucket(f"night-{secrets.token_hex(8)}")
    store.make_bucket()
    secret = store_service.secrets.edge_referer
    store.allow_edges(secret)
    bucket = Origin(endpoint=store_service.endpoint, bucket=store.bucket, secret=secret)
    doors = {"store": store_service.endpoint}
    with ExitStack() as stack:
        for pop, shield in (("nginx", "varnish"), ("varnish", "nginx")):
            edges.need(pop)
            site = Site(name="shield", origins=(bucket,), door=DOOR, limits=FREE, cache_size="64m")
            behind = stack.enter_context(SERVERS[shield](folder / f"{shield}-shield", site))
            shielded = Origin(endpoint=behind.url, bucket=None, secret=DOOR)
            site = Site(name="pop", origins=(shielded,), token_key=KEY, limits=FREE, cache_size="64m")
            edge = stack.enter_context(SERVERS[pop](folder / f"{pop}-pop", site))
            doors |= {f"{shield} shield": behind.url, f"{pop} pop": edge.url}
        yield store, doors
    store._connection.client.delete_bucket(Bucket=store.bucket)
    store.close()


@pytest.fixture
def night(closed: tuple[Store, dict[str, str]]) -> Night:
    """An episode whose names no edge has been asked for."""
    store, doors = closed
    ref = Ref(episode=EPISODE, generation=0, state="not-yet", version=None, flipped_at=None)
    says = entry_points(ref, [], None, layout.Names(key=b"a key"))
    mirror(store, ref, says)
    files = ("t/NAME/init.mp4", "t/NAME/00001.m4s", "v/NAME/main.m3u8", "inventories/NAME.json", "warming/NAME.json")
    warm, cold, untold = (
        tuple(f"/{file.replace('NAME', name)}" for file in files) for name in (secrets.token_hex(13) for _ in range(3))
    )
    attempts = ("/attempts/encode-1/1/out.mp4",)
    for path in (*warm, *cold, *untold, *attempts):
        public = path[1:].startswith(layout.PUBLIC)
        life = layout.IMMUTABLE if public else layout.PRIVATE
        media = layout.content_type(path)
        store.put_once(Upload(key=path[1:], body=MARK * 40, content_type=media, cache_control=life))
    return Night(
        store=store,
        doors=doors,
        warm=warm[:3],
        cold=cold[:3],
        private=(*warm[3:], *cold[3:], *attempts),
        entries={f"/{layout.entry_points(EPISODE)}{file}": body for file, body in says.items()},
        untold=untold[0].split("/")[2],
    )


@pytest.mark.parametrize("count", [750, pytest.param(10_000, marks=pytest.mark.long)])
def test_no_probe_gets_anything_but_not_yet(night: Night, ask: Ask, count: int) -> None:
    """Of all who ask before T, at any door, in any spelling, none succeeds, and no cache keeps what it was told."""
    pops = [url for door, url in night.doors.items() if door.endswith("pop")]
    for url in pops:
        assert {ask("GET", f"{url}/k/{GOOD}{path}").status for path in night.warm} == {200}
    said = {door: told(night, door, count // len(night.doors)) for door in night.doors}
    assert sum(said.values(), Counter()).total() == count
    # As many as asked for an entry point as players do; a shield's door is before everything.
    assert {door for door, statuses in said.items() if statuses[200]} == {"store", "nginx pop", "varnish pop"}
    for url in pops:
        assert did(ask("GET", f"{url}/k/{GOOD}{night.cold[0]}"))[-1] == "pop; fwd=uri-miss", "a probe had it fetched"
        assert did(ask("GET", f"{url}/k/{GOOD}{night.warm[0]}"))[-1] == "pop; hit"


def told(night: Night, door: str, count: int) -> Counter[int]:
    """How often probes at one door got each status, and nothing else."""
    hosts = [url.removeprefix("http://") for url in night.doors.values()]
    hosts += ["localhost", "media.example.net", "", f"{night.store.bucket}.s3.amazonaws.com", "a:b@c"]
    asked = probes(night.pools(door), hosts, door, count)
    got = answers(night.doors[door], asked)
    for probe, answer in zip(asked, got, strict=True):
        assert not night.leaks(probe, answer), (door, probe, answer)
        assert answer.seconds <= 1, (door, probe, answer)
        # An error without a word on it may be kept on a guess. Only edges ask a store, and they keep none.
        assert door == "store" or answer.status < 400 or answer.headers["cache-control"] == "no-store", (probe, answer)
    return Counter(answer.status for answer in got)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [2, 30])
def test_a_thousand_who_wait_are_one_request_a_second(linking: Chain, seconds: int) -> None:
    """However many refresh a "not yet" each second at a PoP, the store behind its shield hears of one a second."""
    linking.says(linking.entry, b"#EXTM3U\n", layout.NOT_YET)
    begun = time.monotonic()
    seen = crowd(linking.pop.url, [[linking.entry] * (seconds + 1) for _ in range(1000)], every=1.0)
    took = time.monotonic() - begun
    assert sum(seen, Counter()) == {200: 1000 * (seconds + 1)}
    # Of the seconds it took, the first and the last were not whole.
    assert linking.origin.asked.total() <= took + 1

"""Warming at the size of a night: many edges behind a shield, limits, and a kill."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.tools import process
from pipelines.version import Item
from pipelines.warm import Capacity, Edge, make, prove
from pipelines.warm.players import BROWSER
from pipelines.warm.sweep import Ask, Asker
from pipelines.workspace import Workspace
from tests.conftest import StoreService
from tests.fakes import warming
from tests.fakes.liar import Liar, standing
from tests.fakes.origin import Reply
from tests.fakes.pops import nginx_pops, varnish_pop
from tests.fakes.sites import Counted, Site
from tests.fakes.warmer import order

PLAYLIST = {"Content-Type": "application/vnd.apple.mpegurl", "Cache-Control": "public, max-age=31536000, immutable"}
POPS = 20


@pytest.fixture
def published(site: Site, tmp_path: Path) -> Workspace:
    return warming.published(site.store, site.names, tmp_path, segments=40, size=2000)


def serve(counted: Counted, workspace: Workspace) -> int:
    """Have the origin hold what is published; how many objects those are."""
    for key, body in warming.bodies(workspace).items():
        headers = {"headers": PLAYLIST} if key.endswith(".m3u8") else {}
        counted.origin.replies[f"/bucket/{key}"] = Reply(body=body, **headers)
    return len(counted.origin.replies)


@pytest.mark.long
def test_twenty_edges_and_a_shield_ask_the_origin_once(counted: Counted, published: Workspace, tmp_path: Path) -> None:
    """Through real nginx: one origin GET for each object, and every object is a hit at every edge."""
    objects = serve(counted, published)
    shield = counted.edge.model_copy(update={"role": "shield"})
    make(warming.job(published, shield), published)
    with nginx_pops(tmp_path / "pops", shield, POPS) as pops, ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda pop: make(warming.job(published, pop), published)[0].facts, pops))
        again = [prove(warming.job(published, pop), published) for pop in pops[:2]]
    assert counted.origin.asked.total() <= 1.02 * objects
    assert [(facts["hits"], facts["pops"]) for facts in made] == [(objects, [pop.name]) for pop in pops]
    assert [each.hits for each in again] == [objects] * 2


def test_varnish_is_warmed_and_understood(counted: Counted, published: Workspace, tmp_path: Path) -> None:
    """Varnish as it comes: two numbers in X-Varnish, an Age that grows, one copy for all encodings."""
    objects = serve(counted, published)
    with varnish_pop(tmp_path / "varnish", counted.edge) as pop:
        facts = make(warming.job(published, pop), published)[0].facts
    assert (facts["hits"], facts["same_copy"]) == (objects, True)
    assert counted.origin.asked.total() <= 1.02 * objects


def items(count: int, size: int) -> tuple[list[Item], dict[str, bytes]]:
    bodies = {f"t/a/{n:05d}.m4s": b"x" * size for n in range(count)}
    return [Item(key=key, size=size, sha256="00" * 32) for key in bodies], bodies


def seconds_for(edge: Edge, listed: list[Item], folder: Path) -> float:
    asks = [Ask(index=n, item=item, headers=BROWSER) for n, item in enumerate(listed)]
    begun = time.monotonic()
    with Asker(edge, folder) as asker:
        assert len(list(asker.each(asks, lambda: None))) == len(asks)
    return time.monotonic() - begun


@pytest.mark.parametrize(
    ("own", "total", "shortest"),
    [
        (Capacity(bits_per_second=8_000_000, connections=2), None, 4.0),  # 100 × 40 kB at 1 MB/s
        (Capacity(requests_per_second=25, connections=2), None, 4.0),
        (Capacity(bits_per_second=80_000_000, connections=2), Capacity(bits_per_second=16_000_000), 4.0),
        (Capacity(connections=2), Capacity(requests_per_second=50), 4.0),
    ],
)
def test_limits_hold(own: Capacity, total: Capacity | None, shortest: float, tmp_path: Path) -> None:
    """Two edges at once, each within its own limits and both within the total, to 2 %; and not much below."""
    listed, bodies = items(100, 40_000)
    with standing(Liar(bodies=bodies)) as one, standing(Liar(bodies=bodies)) as two, ThreadPoolExecutor(2) as threads:
        edges = [Edge(name=f"e{n}", url=each.url, capacity=own, total=total) for n, each in enumerate((one, two))]
        taken = list(threads.map(lambda edge: seconds_for(edge, listed, tmp_path), edges))
        busiest = [sum(len(each.asked) for each in (one, two)), one.asked.total()]
    assert busiest == [200, 100]
    # What is limited for each must take each its time; what is limited for both, the last of them.
    assert (max(taken) if total else min(taken)) >= shortest * 0.98
    assert max(taken) <= shortest * 1.5


def test_a_kill_repeats_next_to_nothing(site: Site, store_service: StoreService, tmp_path: Path) -> None:
    """SIGKILL in the middle; the next attempt, wherever it runs, asks again for less than one in a hundred."""
    published = warming.published(site.store, site.names, tmp_path / "a", segments=1000, size=50)
    with standing(Liar(bodies=warming.bodies(published), tells_age=False)) as edge:
        asked = warming.job(published, Edge(name="paris", url=edge.url, capacity=Capacity(connections=2)))
        command = order(tmp_path / "order", asked, published, store_service.endpoint, store_service.secrets)
        child = process.start(command, env=dict(os.environ), log=tmp_path / "log")
        until = time.monotonic() + 60
        while edge.asked.total() < 500:
            assert child.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.002)
        process.stop(child, 0.0)  # nothing is left to it
        before = edge.asked.copy()
        edge.asked.clear()
        make(asked, published)
        media = [key for key in before if key.endswith(".m4s")]
        # Each object is asked for once to warm it, once to prove it; a sample of some more, in trials and at the end.
        repeated = before.total() + edge.asked.total() - uninterrupted(edge, asked, published)
    assert 400 < len(media) < 1000
    assert repeated < 0.01 * 2 * len(edge.bodies)


def uninterrupted(edge: Liar, job: object, workspace: Workspace) -> int:
    """Requests of a warming that nobody disturbs."""
    edge.asked.clear()
    make(job, workspace)  # type: ignore[arg-type] - the same job again: its progress is forgotten by now
    return edge.asked.total()


@pytest.mark.long
def test_a_proof_of_ten_thousand_objects_costs_the_origin_nothing(counted: Counted, site: Site, tmp_path: Path) -> None:
    """Hours later it is still warm, and showing that costs edge hits alone."""
    published = warming.published(site.store, site.names, tmp_path / "b", segments=10_000, size=200)
    objects = serve(counted, published)
    asked = warming.job(published, counted.edge)
    make(asked, published)
    before = counted.origin.asked.total()
    assert before <= 1.02 * objects
    assert prove(asked, published).hits == objects
    assert counted.origin.asked.total() == before

"""The demo's episode, made and warmed as on the night: twenty edges of both kinds behind a closed shield."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipelines.version import inventory
from pipelines.warm import Edge, Edges
from pipelines.wire import from_data
from scripts.avant.run import produce
from scripts.edge.site import Limits, Origin, Site
from scripts.synthesise import synthesise
from tests.fakes import edges
from workers.farm import Farm, open_farm
from workers.settings import Settings
from workers.submission import read_order

POPS = 20
#: More than warming asks for at once from all edges.
FREE = Limits(asked=1_000_000)


@pytest.mark.long
def test_the_demo_is_warm_at_twenty_edges_for_one_read_of_each_object(tmp_path: Path) -> None:
    """All that viewers ask for first is a hit at every edge, and the store gave each object once."""
    document = synthesise(tmp_path / "delivery", seconds=25)
    settings = Settings(home=tmp_path / "home")
    with ExitStack() as stack:
        farm = stack.enter_context(open_farm(settings))
        listed = standing(stack, farm, tmp_path)
        outcome = produce(read_order(document, settings, listed), farm, slots=None, wait=True, quiet=True)
        assert outcome.ref.state == "released"
        proofs = farm.ledger.artifacts(outcome.plan.editions[-1].warmth.values())
        made = farm.ledger.artifacts([outcome.plan.version, *(track.digest for track in outcome.plan.tracks)])
        objects = {item.key for one in made.values() for item in inventory(farm.store, farm.names, one)}
    assert {proof.facts["edge"] for proof in proofs.values()} == {edge.name for edge in listed}
    for proof in proofs.values():
        tiers = {tier["tier"]: tier for tier in proof.facts["tiers"]}
        first = [tiers[tier] for tier in (0, 1)]
        assert [tier["hits"] for tier in first] == [tier["objects"] for tier in first]
        assert proof.facts["hits"] >= 0.99 * proof.facts["objects"]
        assert proof.facts["objects"] == len(objects)
    asked = read_from_the_store(tmp_path / "shield", objects)
    assert set(asked) == objects
    assert asked.total() <= 1.02 * len(objects)


def standing(stack: ExitStack, farm: Farm, folder: Path) -> tuple[Edge, ...]:
    """A shield that lets in only who knows its door, and PoPs of both kinds before it, in the order of warming."""
    for kind in edges.SERVERS:
        edges.need(kind)
    store = Origin(endpoint=farm.settings.s3_endpoint or "", bucket=farm.settings.s3_bucket, secret=farm.edge_secret)
    site = Site(name="shield", origins=(store,), door=edges.DOOR, limits=FREE)
    shield = stack.enter_context(edges.SERVERS["nginx"](folder / "shield", site))
    (folder / "door").write_text(edges.DOOR)
    listed = [shield.model_copy(update={"role": "shield", "door": folder / "door"})]
    for number in range(POPS):
        kind = ("nginx", "varnish")[number % 2]
        behind = Origin(endpoint=shield.url, bucket=None, secret=edges.DOOR)
        site = Site(name=f"pop-{number}", origins=(behind,), limits=FREE, cache_size="128m")
        pop = stack.enter_context(edges.SERVERS[kind](folder / f"pop-{number}", site))
        listed.append(pop.model_copy(update={"shield": "shield"}))
    return Edges(edges=tuple(from_data(Edge, each.model_dump()) for each in listed)).listed


def read_from_the_store(folder: Path, objects: set[str]) -> Counter[str]:
    """How often the shield asked for each object, by its own log."""
    lines = (line.split() for line in (folder / "access.log").read_text().splitlines())
    return Counter(path for line in lines if line[6] != "HIT" and (path := line[3].lstrip("/")) in objects)

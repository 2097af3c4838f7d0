"""Reference edges warmed and proved: they show that a hit is one copy, and what lies before or within them is found."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipelines.errors import EdgeError
from pipelines.warm import Edge, make
from pipelines.workspace import Workspace
from scripts.edge import nginx
from tests.conftest import StoreService
from tests.fakes import edges, warming
from tests.fakes.edges import DOOR, KEY, SERVERS, before, chain
from tests.fakes.origin import IMMUTABLE, Origin, Reply, origin
from tests.fakes.pops import careless
from tests.fakes.sites import Site
from workers import services

HLS = {**IMMUTABLE, "Content-Type": "application/vnd.apple.mpegurl"}


@pytest.fixture
def published(site: Site, tmp_path: Path) -> Workspace:
    return warming.published(site.store, site.names, tmp_path / "version", segments=12)


@pytest.fixture
def behind(published: Workspace) -> Iterator[Origin]:
    """An origin of what is published."""
    with origin() as store:
        for key, body in warming.bodies(published).items():
            store.replies[f"/bucket/{key}"] = Reply(body=body, headers=HLS if key.endswith(".m3u8") else IMMUTABLE)
        yield store


@pytest.mark.parametrize("kinds", [(pop, shield) for pop in SERVERS for shield in SERVERS], ids="-".join)
def test_a_hit_is_shown_to_be_one_copy(
    kinds: tuple[str, str], published: Workspace, behind: Origin, tmp_path: Path
) -> None:
    """At a shield and at a PoP of either kind, both sealed by what they need: the shield's door, the PoP's tokens."""
    door, key = tmp_path / "door", tmp_path / "key"
    door.write_text(DOOR)
    key.write_text(KEY)
    with chain(tmp_path, kinds, behind, token_key=KEY) as (pop, shield):
        listed = (
            shield.model_copy(update={"role": "shield", "door": door}),
            pop.model_copy(update={"shield": "shield", "token_key": key}),
        )
        for edge in listed:
            facts = make(warming.job(published, edge), published)[0].facts
            assert (facts["hits"], facts["same_copy"]) == (facts["objects"], True)
    assert behind.asked.total() == facts["objects"]


@pytest.mark.parametrize("kind", SERVERS)
def test_an_edge_alone_shows_it_too(kind: str, published: Workspace, behind: Origin, tmp_path: Path) -> None:
    """Before the store, with nobody between."""
    edges.need(kind)
    with SERVERS[kind](tmp_path / "edge", before(behind)) as edge:
        facts = make(warming.job(published, edge), published)[0].facts
    assert (facts["hits"], facts["same_copy"]) == (facts["objects"], True)


def refused(edge: Edge, published: Workspace) -> str:
    with pytest.raises(EdgeError) as found:
        make(warming.job(published, edge), published)
    return found.value.message


@pytest.mark.parametrize("kind", SERVERS)
def test_a_pop_that_keeps_nothing_is_found_before_our_shield(
    kind: str, published: Workspace, behind: Origin, tmp_path: Path
) -> None:
    """An nginx that says HIT and passes everything on: the shield numbers its answers."""
    edges.need(kind)
    with ExitStack() as stack:
        shield = stack.enter_context(SERVERS[kind](tmp_path / "shield", before(behind, name="shield", door=DOOR)))
        pop = stack.enter_context(careless(tmp_path / "pop", shield.url, DOOR))
        assert "new copies each time" in refused(pop.model_copy(update={"shield": "shield"}), published)
        assert "new copies each time" in refused(pop, published)


def test_a_pop_that_keeps_nothing_is_found_before_the_store(
    published: Workspace, store_service: StoreService, tmp_path: Path
) -> None:
    """S3 numbers its answers."""
    secret = store_service.secrets.edge_referer
    with careless(tmp_path / "pop", f"{store_service.endpoint}/{services.BUCKET}", secret) as pop:
        assert "new copies each time" in refused(pop, published)


def test_our_own_configuration_can_not_lie_unseen(
    published: Workspace, behind: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edited so that it fetches each time and says HIT, it numbers its fetches all the same."""
    edited = tmp_path / "edited.conf"
    text = nginx.TEMPLATE.read_text()
    for was, to in {
        "proxy_cache objects;": "proxy_cache objects; proxy_cache_bypass 1;",
        "default $$upstream_cache_status;": 'default $$upstream_cache_status; "~^BYPASS" HIT;',
    }.items():
        assert text.count(was) == 1
        text = text.replace(was, to)
    edited.write_text(text)
    monkeypatch.setattr(nginx, "TEMPLATE", edited)
    with nginx.running(tmp_path / "edge", before(behind)) as edge:
        assert "new copies each time" in refused(edge, published)

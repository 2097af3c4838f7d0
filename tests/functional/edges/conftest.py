"""One edge of each kind, and one chain of each pair, for all tests; each test asks for names of its own."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from scripts.edge.site import Limits
from tests.fakes import edges
from tests.fakes.edges import Chain, Stage
from tests.fakes.origin import origin

#: More than we can ask for: limits have tests of their own.
FREE = Limits(asked=1_000_000)


@pytest.fixture(scope="session", params=edges.SERVERS)
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    kind: str = request.param
    edges.need(kind)
    folder = tmp_path_factory.mktemp(kind)
    with origin() as behind, edges.SERVERS[kind](folder, edges.before(behind, limits=FREE)) as edge:
        yield Stage(kind=kind, edge=edge, origin=behind, folder=folder)


@pytest.fixture
def stage(standing: Stage) -> Iterator[Stage]:
    yield Stage(kind=standing.kind, edge=standing.edge, origin=standing.origin, folder=standing.folder)
    standing.origin.reset()


@pytest.fixture(
    scope="session", params=[(pop, shield) for pop in edges.SERVERS for shield in edges.SERVERS], ids="-".join
)
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A PoP before a shield, of either kind and mixed."""
    folder = tmp_path_factory.mktemp("-".join(request.param))
    with origin() as behind, edges.chain(folder, request.param, behind, limits=FREE) as (pop, shield):
        yield Chain(pop=pop, shield=shield, origin=behind)


@pytest.fixture
def linking(linked: Chain) -> Iterator[Chain]:
    yield replace(linked, name=secrets.token_hex(13))
    linked.origin.reset()


@pytest.fixture(params=[2.0, pytest.param(7.0, marks=pytest.mark.long)], ids=["2s", "7s"])
def slow(request: pytest.FixtureRequest) -> float:
    """Seconds that the origin takes for each answer."""
    seconds: float = request.param
    return seconds

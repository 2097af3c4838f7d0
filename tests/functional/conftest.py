"""What tests of this folder share: a real store behind a real edge, and a delivery for whole runs."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from pipelines.layout import Names
from scripts import edge
from tests.conftest import StoreService
from tests.fakes import edges, spine
from tests.fakes.episode import Episode
from tests.fakes.origin import origin
from tests.fakes.sites import SECRET, Ask, Counted, Site
from tests.fakes.spine import Avant
from tests.fakes.watcher import watched
from workers import services


@pytest.fixture(scope="session")
def nginx() -> None:
    edges.need("nginx")


@pytest.fixture(scope="session")
def site(nginx: None, store_service: StoreService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    secrets = store_service.secrets
    store = store_service.bucket(services.BUCKET)
    store.allow_edges(secrets.edge_referer)
    folder = tmp_path_factory.mktemp("edge")
    with edge.running(folder, store_service.endpoint, services.BUCKET, secrets.edge_referer) as local:
        yield Site(store=store, edge=local, names=Names(key=bytes.fromhex(secrets.naming_key)))
    store.close()


@pytest.fixture
def counted(nginx: None, tmp_path: Path) -> Iterator[Counted]:
    with origin() as behind, edge.running(tmp_path / "edge", behind.endpoint, "bucket", SECRET) as local:
        yield Counted(origin=behind, edge=local, folder=tmp_path / "edge")


@pytest.fixture
def ask() -> Iterator[Ask]:
    with urllib3.PoolManager(maxsize=64, timeout=30.0, retries=False) as pool:

        def request(method: str, url: str, **headers: str) -> urllib3.BaseHTTPResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return pool.request(method, url, headers=named, decode_content=False)

        yield request


@pytest.fixture(scope="session")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The episode.toml of a small delivery. It is never changed: what needs another copies it."""
    return spine.deliver(tmp_path_factory.mktemp("spine"))


@pytest.fixture(scope="session")
def episode(store_service: StoreService, delivery: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Episode]:
    """The delivery, run once, and watched from before the run until after it."""
    store = store_service.bucket(f"episode-{secrets.token_hex(8)}")
    store.make_bucket()
    home = tmp_path_factory.mktemp("episode") / "home"
    avant = Avant(settings=spine.settings(home, delivery, store_service, store.bucket))
    with watched(store) as watcher:
        told = avant("run", delivery, "--json").told
    yield Episode.of(avant, delivery, store, told, watcher)
    store._connection.client.delete_bucket(Bucket=store.bucket)
    store.close()

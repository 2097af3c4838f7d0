"""
What tests share: one real object store for the whole run, a fresh bucket for each test, a workspace for a step; a real
PostgreSQL, a fresh ledger for each test.
"""

import os
import secrets as random
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipelines import layout
from pipelines.artifact import Artifact
from pipelines.layout import Names
from pipelines.tools.s3 import Store
from pipelines.workspace import Workspace
from tests.fakes.postgres import SERVER, Postgres, postgres
from workers import services


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreService:
    """A SeaweedFS that runs as long as the tests do."""

    endpoint: str
    secrets: services.Secrets

    def bucket(self, name: str) -> Store:
        return Store(
            endpoint=self.endpoint,
            region=services.REGION,
            bucket=name,
            access_key=self.secrets.access_key,
            secret_key=self.secrets.secret_key,
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("AVANT_LONG") == "1":
        return
    skip = pytest.mark.skip(reason="long: run with scripts/test --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def store_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreService]:
    folder = tmp_path_factory.mktemp("services")
    with services.lock(folder):
        secrets = services.secrets(folder)
        with services.services(folder, secrets, broker=False) as running:
            assert running.store
            yield StoreService(endpoint=running.store.address, secrets=secrets)


@pytest.fixture
def store(store_service: StoreService) -> Iterator[Store]:
    """A bucket of this test's own, gone afterwards: each holds several volumes of SeaweedFS."""
    store = store_service.bucket(f"test-{random.token_hex(8)}")
    store.make_bucket()
    yield store
    store._connection.client.delete_bucket(Bucket=store.bucket)  # SeaweedFS deletes what is in it too
    store.close()


@pytest.fixture
def names() -> Names:
    return Names(key=b"a key for tests")


@pytest.fixture
def make_workspace(tmp_path: Path, store: Store, names: Names) -> Callable[..., Workspace]:
    """Makes workspaces: `make_workspace(inputs={digest: artifact}, step="package", token=2)`."""

    def make(inputs: Mapping[str, Artifact] | None = None, step: str = "test", token: int = 1) -> Workspace:
        scratch = tmp_path / f"scratch-{step}-{token}"
        scratch.mkdir()
        return Workspace(
            scratch=scratch,
            store=store,
            names=names,
            attempt=layout.attempt(step, token),
            inputs=inputs or {},
            watch=lambda _share: None,
        )

    return make


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """PostgreSQL comes from the system; without it a laptop skips, and CI fails."""
    if not SERVER and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed")
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is, or will be, a ledger that is empty: what is promised of one is promised of both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    found: Postgres = request.getfixturevalue("server")
    return found.ledger()


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The path of the ffmpeg that the product uses."""
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


@pytest.fixture
def unused_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@pytest.fixture
def nowhere(unused_port: int) -> str:
    """The address of a service that is down."""
    return f"http://127.0.0.1:{unused_port}"

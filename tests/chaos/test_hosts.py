"""Three hosts on three cables, and one of them is cut in the midst of an encode."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.tools import process
from tests.fakes import hub, network, spine
from tests.fakes.audit import Audit
from tests.fakes.farm import until
from tests.fakes.hosts import Host, alive, signalled, words
from tests.fakes.kin import kin
from tests.fakes.network import Network
from tests.fakes.postgres import SERVER, Postgres
from tests.fakes.spine import Avant
from workers import services
from workers.ledger import Ledger, StepView, open_ledger
from workers.settings import Settings

LEASE = 6.0  #: seconds
#: Seconds for which a host that was cut may wait for a connection that is dead.
DEAD = 30.0


@dataclass(kw_only=True)
class Site:
    """A farm on cables. The ledger is read from outside, over its socket."""

    network: Network
    settings: Settings
    ledger: Ledger
    audit: Audit
    hosts: list[Host]

    def submit(self, folder: Path, episode: str, seconds: int) -> int:
        """Deliver an episode and submit it; of how many steps."""
        folder.mkdir()
        document = spine.deliver(folder, episode=episode, seconds=seconds)
        given = self.settings.model_copy(update={"ledger_url": self.audit.address, "broker_url": None})
        given = given.model_copy(update={"presets": spine.presets(document)})
        run: int = Avant(settings=given)("submit", document, "--json").told["steps"]["run"]
        return run

    def steps(self, episode: str) -> tuple[StepView, ...]:
        view = self.ledger.overview(episode)
        assert view
        return view.steps

    def ready(self, episode: str) -> bool:
        return {one.state for one in self.steps(episode)} == {"done"}


@pytest.fixture
def cables() -> Iterator[Network]:
    """Whoever may not make network namespaces skips, everywhere: no machine has to let us."""
    if not network.can():
        pytest.skip("network namespaces can't be made here")
    with network.network(3) as made:
        yield made


@pytest.fixture
def told(cables: Network, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the hub says of itself."""
    if not SERVER and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path / "hub"
    argv = [*cables.inside(cables.hub), sys.executable, "-m", "tests.fakes.hub", str(folder), cables.address]
    child = process.start(argv, log=tmp_path / "hub.log")
    try:
        until(lambda: (folder / hub.TOLD).exists() or child.poll() is not None)
        assert child.poll() is None, (tmp_path / "hub.log").read_text()
        yield json.loads((folder / hub.TOLD).read_text())
    finally:
        process.stop(child, 20)


@pytest.fixture
def site(cables: Network, told: dict[str, Any], tmp_path: Path) -> Iterator[Site]:
    server = Postgres(**{**told["postgres"], "folder": Path(told["postgres"]["folder"])}, settings=())
    audit = Audit.begin(server, server.ledger())
    settings = Settings(
        home=tmp_path / "home",
        ledger_url=f"{told['ledger']}{audit.database}",
        broker_url=told["broker"],
        s3_endpoint=told["store"],
        s3_bucket=services.BUCKET,
        s3_access_key=told["access_key"],
        s3_secret_key=SecretStr(told["secret_key"]),
        naming_key=SecretStr(spine.KEY),
        lease_seconds=LEASE,
        log_format="json",
    )
    ledger = open_ledger(audit.address)
    hosts = [
        Host(
            settings=settings.model_copy(update={"home": tmp_path / name, "host": name}),
            module="workers.dispatch",
            slots=("heavy", "light"),
            through=cables.inside(name),
        )
        for name in cables.hosts
    ]
    yield Site(network=cables, settings=settings, ledger=ledger, audit=audit, hosts=hosts)
    for host in hosts:
        host.kill()
        host.gone()
    ledger.close()


def encoders(host: Host) -> list[int]:
    """The processes that encode on a host."""
    return [pid for pid in kin(host.home) if "libx264" in words(pid)]


def caught(site: Site) -> tuple[int, int]:
    """The number of a host that encodes, and the process that does: stopped, so that it is in the midst of it."""
    found: list[tuple[int, int]] = []

    def encodes() -> bool:
        found.extend((number, pid) for number, host in enumerate(site.hosts) for pid in encoders(host))
        return bool(found)

    until(encodes)
    signalled(found[0][1], signal.SIGSTOP)
    return found[0]


def lease(site: Site, host: Host) -> tuple[str, float]:
    """The encode that runs on a host, and for how many seconds it is still its own by the ledger's clock."""
    query = (
        "SELECT id, lease_until - extract(epoch FROM clock_timestamp()) FROM steps "
        f"WHERE state = 'running' AND lane = 'encode' AND host = '{host.settings.host}'"
    )
    rows = site.audit.server.sql(query, site.audit.database)
    return str(rows[0][0]), float(str(rows[0][1]))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_host_that_is_cut_off_is_replaced_and_comes_back(site: Site, tmp_path: Path) -> None:
    """
    Its tool is dead before anyone else may have its step; the others make the episode; when it is back, nothing that
    was committed changes, and it makes the next episode alone.
    """
    steps = site.submit(tmp_path / "one", "one", spine.SECONDS)
    for host in site.hosts:
        host.start()
    number, tool = caught(site)
    lost = site.hosts[number]
    step, _ = lease(site, lost)
    site.network.cut(number)
    _, left = lease(site, lost)
    until(lambda: not alive(tool), patience=left)
    spare = lease(site, lost)[1]
    until(lambda: site.ready("one"), patience=120)
    sys.stdout.write(f"dead {spare:.1f} s before its lease ran out, of {LEASE:.0f} s; load {os.getloadavg()[0]:.1f}\n")
    assert spare > 0
    commits = site.audit.commits()
    assert len(commits) == steps
    assert {one.host for one in site.steps("one") if one.step.id == step}.isdisjoint({lost.settings.host})
    site.network.mend(number)
    for host in site.hosts:
        if host is not lost:
            host.stop()
    site.submit(tmp_path / "two", "two", spine.SECONDS + 2)
    until(lambda: site.ready("two"), patience=DEAD + 120)
    lost.stop()
    assert {one.host for one in site.steps("two") if one.attempts} == {lost.settings.host}
    assert commits.items() <= site.audit.commits().items()
    site.audit.check_references()
    assert [kin(host.home) for host in site.hosts] == [[], [], []]

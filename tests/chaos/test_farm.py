"""Two hosts, eight slots, one bad night: nothing is lost, nothing counts twice, nothing is left."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.step import Lane, Step
from pipelines.tools.s3 import Store
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.farm import plan, step
from tests.fakes.hand import STORE
from tests.fakes.hosts import FAKETIME, Host, ahead
from tests.fakes.postgres import SERVER
from tests.fakes.spine import Avant
from tests.fakes.storm import (
    Site,
    Storm,
    broker_restarted,
    drawn,
    host_killed,
    ledger_restarted,
    nursery_killed,
    site,
    worker_stopped,
)
from workers.ledger import open_ledger
from workers.settings import Settings

#: Seconds.
LEASE = 3.0
#: Workers that may vanish from a step: in such a night that is nobody's fault but the night's.
QUARANTINE = 20
#: Steps of an episode, and how far back a step's needs reach.
EPISODE, REACH = 50, 12
SLOTS = ("heavy", "heavy", "heavy", "light")
LANES: tuple[Lane, ...] = ("encode", "encode", "audio", "package", "control")
#: Of the three real episodes.
SECONDS = (9, 17, 25)
#: How far the second host's wall clock is ahead.
AHEAD = 90


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Site]:
    """PostgreSQL and faketime come from the system; without them a laptop skips, and CI fails."""
    if not (SERVER and FAKETIME) and not os.environ.get("CI"):
        pytest.skip("PostgreSQL or faketime is not installed")
    with site(tmp_path / "site", drawn()) as found:
        yield found


@pytest.fixture
def begin(ground: Site, tmp_path: Path) -> Iterator[Callable[..., Storm]]:
    """Starts two hosts, of which one's wall clock is ahead; they are gone afterwards."""
    hosts: list[Host] = []

    def start(settings: Settings, module: str, **environment: str) -> Storm:
        for name, clock in (("here", {}), ("hasty", ahead(AHEAD))):
            own = settings.model_copy(update={"home": tmp_path / name, "host": name})
            hosts.append(Host(settings=own, module=module, slots=SLOTS, environment={**environment, **clock}))
            hosts[-1].start()
        return Storm(site=ground, hosts=hosts, lease=LEASE)

    yield start
    for host in hosts:
        host.kill()
        host.gone()


def settings(ground: Site, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        ledger_url=ground.audit.address,
        broker_url=ground.broker_url,
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="nobody",
        s3_secret_key=SecretStr("nothing"),
        naming_key=SecretStr("00"),
        lease_seconds=LEASE,
        quarantine_after=QUARANTINE,
        log_format="json",
    )


def short(episode: str, chance: random.Random) -> list[Step]:
    """Steps of 50 to 300 ms, each of which needs up to three that are not far before it: chains and joins."""
    made: list[Step] = []
    for number in range(EPISODE - 1):
        near = made[-REACH:]
        needs = chance.sample(near, min(len(near), chance.choice((0, 0, 1, 1, 2, 3))))
        does = f"{chance.uniform(0.05, 0.3):.3f}"
        made.append(step(f"{episode}-{number}", lane=chance.choice(LANES), needs=needs, does=does))
    return made


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("episodes", "kills", "patience"),
    [pytest.param(3, 3.0, 120.0, id="150"), pytest.param(20, 1.0, 120.0, id="1000", marks=pytest.mark.long)],
)
def test_nothing_is_lost_and_nothing_counts_twice(
    *, episodes: int, kills: float, patience: float, ground: Site, begin: Callable[..., Storm], tmp_path: Path
) -> None:
    """
    Every step is committed once, by the attempt that the ledger names, made from committed attempts alone; whoever
    stood still past its lease has been replaced; no process outlives who started it.
    """
    given, store, total = settings(ground, tmp_path), tmp_path / "store", episodes * EPISODE
    ledger = open_ledger(given.ledger_address)
    for number in range(episodes):
        ledger.submit(plan(f"e{number}", short(f"e{number}", ground.chance)), deadline=None)
    ledger.close()
    storm = begin(given, "tests.fakes.hand", **{STORE: str(store)})
    storm.kills = kills
    storm.rage(
        total,
        [
            (0.15, broker_restarted),
            (0.35, worker_stopped),
            (0.55, ledger_restarted),
            (0.65, nursery_killed),
            (0.75, host_killed),
        ],
        patience,
    )
    storm.end()
    commits = ground.audit.commits()
    assert len(commits) == total
    assert ground.audit.states() == {"done": total}
    ground.audit.check_references()
    ground.audit.check_bytes(store)
    assert [commits[step] > token for step, token in storm.stopped] == [True]
    assert ground.road.met["doubled"] > 0
    assert ground.road.met["dropped"] > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_three_episodes_are_made_in_such_a_night(
    ground: Site, begin: Callable[..., Storm], store: Store, store_service: StoreService, tmp_path: Path
) -> None:
    """With the real tools: every object of each version is as its inventory says, nothing is left of who was killed."""
    real, steps = spine.outside(store_service, store.bucket), 0
    for number, seconds in enumerate(SECONDS):
        document = spine.deliver(tmp_path / f"{number}", episode=f"e{number}", seconds=seconds)
        given = settings(ground, tmp_path).model_copy(update={**real, "presets": spine.presets(document)})
        steps += Avant(settings=given)("submit", document, "--json").told["steps"]["run"]
    storm = begin(given, "workers.dispatch")
    storm.rage(
        steps, [(0.1, broker_restarted), (0.25, worker_stopped), (0.45, ledger_restarted), (0.6, host_killed)], 600
    )
    storm.end()
    assert ground.audit.states() == {"done": steps}
    assert len(ground.audit.commits()) == steps
    ground.audit.check_references()
    for number in range(len(SECONDS)):
        spine.verify(given, f"e{number}")

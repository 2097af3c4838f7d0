"""How long work waits: for a host that died to be missed, and for a premiere behind a heap of bulk."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import pytest
from pydantic import SecretStr

from pipelines.tools import process
from tests.fakes import holder
from tests.fakes.farm import broker, plan, step, until
from tests.fakes.hand import STORE
from tests.fakes.hosts import Host
from tests.fakes.postgres import Postgres
from workers.ledger import Ledger, open_ledger
from workers.settings import Settings

HELD = 100
LEASE = 3.0  #: seconds
#: Seconds that a step may be late when its lease has run out.
LATE = 15.0
BULK = 10_000
#: Steps of an episode; many, so that submitting them takes seconds and not a minute.
EPISODE = 1_000
#: Seconds that a step of bulk takes, and that a premiere's may wait besides.
RUNNING, GRACE = 2.0, 1.0
PREMIERES = 4
SLOTS = 4


@pytest.fixture
def settings(server: Postgres, tmp_path: Path) -> Iterator[Settings]:
    with broker(tmp_path / "broker") as address:
        yield Settings(
            home=tmp_path / "home",
            host="here",
            ledger_url=server.ledger(),
            broker_url=address,
            s3_endpoint="http://127.0.0.1:1",
            s3_access_key="nobody",
            s3_secret_key=SecretStr("nothing"),
            naming_key=SecretStr("00"),
            lease_seconds=LEASE,
            log_format="json",
        )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    one = open_ledger(settings.ledger_address)
    yield one
    one.close()


@pytest.fixture
def working(settings: Settings, tmp_path: Path) -> Iterator[Callable[[int], Host]]:
    """Starts a host with so many slots, and returns when all of them are up."""
    hosts: list[Host] = []

    def start(slots: int) -> Host:
        environment = {STORE: str(tmp_path / "store")}
        hosts.append(
            Host(settings=settings, module="tests.fakes.hand", slots=["heavy"] * slots, environment=environment)
        )
        hosts[-1].start()
        logs = settings.home / "logs"
        until(lambda: sum(log.read_text().count("slot.started") for log in logs.glob("heavy-*")) == slots)
        return hosts[-1]

    yield start
    for host in hosts:
        host.kill()
        host.gone()


def started(ledger: Ledger, episode: str) -> list[datetime]:
    """When the steps of an episode began that have begun, all but its last."""
    view = ledger.overview(episode)
    assert view
    return [one.started_at for one in view.steps[:-1] if one.started_at]


@pytest.mark.long
def test_a_hundred_steps_of_a_host_that_died_run_elsewhere(
    ledger: Ledger, settings: Settings, working: Callable[[int], Host], tmp_path: Path
) -> None:
    """On the one slot that is free: 99 of them within 15 s of their lease's end, though nobody said that it died."""
    ledger.submit(plan("e", [step(f"s{n}") for n in range(HELD)]), deadline=None)
    elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    environment = {**os.environ, **elsewhere.environment()}
    child = process.start([sys.executable, "-m", "tests.fakes.holder", str(HELD)], env=environment)
    try:
        until((elsewhere.home / holder.READY).exists)
        working(1)
        until(lambda: ledger.look().ready == {})
        child.send_signal(signal.SIGKILL)
        killed = ledger.now()
    finally:
        process.stop(child, 0)
    until(lambda: all(at > killed for at in started(ledger, "e")), patience=60)
    waited = [(at - killed).total_seconds() for at in started(ledger, "e")]
    assert len(waited) == HELD
    p99 = quantiles(waited, n=100)[98]
    sys.stdout.write(f"p50 {quantiles(waited, n=2)[0]:.1f} s, p99 {p99:.1f} s at load {os.getloadavg()[0]:.1f}\n")
    assert min(waited) >= LEASE / 3
    assert p99 <= LEASE + LATE


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_premiere_overtakes_ten_thousand_steps_of_bulk(ledger: Ledger, working: Callable[[int], Host]) -> None:
    """Its first step begins as soon as the first of the running ones has ended, and within a second of that."""
    for number in range(BULK // EPISODE):
        steps = [step(f"{number}-{n}", does=f"{RUNNING}") for n in range(EPISODE)]
        ledger.submit(plan(f"bulk-{number}", steps), deadline=None)
    working(SLOTS)
    waited = []
    for number in range(PREMIERES):
        until(lambda: busy(ledger) == SLOTS)
        first = step(f"first-{number}", tail=100.0)
        premiere = plan(f"premiere-{number}", [first, step(f"second-{number}", needs=[first])])
        submitted = ledger.now()
        ledger.submit(premiere, deadline=datetime.now(UTC) + timedelta(hours=1))
        until(lambda number=number: bool(started(ledger, f"premiere-{number}")))  # type: ignore[misc]  # bound now
        waited.append((started(ledger, f"premiere-{number}")[0] - submitted).total_seconds())
    sys.stdout.write(f"{[round(one, 2) for one in waited]} s at load {os.getloadavg()[0]:.1f}\n")
    assert max(waited) <= RUNNING + GRACE


def busy(ledger: Ledger) -> int:
    """How many steps run."""
    with ledger._read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM steps WHERE state = 'running'").scalar_one())

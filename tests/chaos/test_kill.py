"""Killed at random moments, run again: nothing is lost, nothing is left, nothing counts twice."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr

from pipelines.tools import process
from tests.fakes.farm import broker, until
from tests.fakes.kin import kin
from workers.ledger import open_ledger
from workers.settings import Settings

KILLS = 4
#: Seconds from a run's start to its death: before its slots are up, while they work, near the end.
MOMENTS = (0.2, 3.5)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with broker(tmp_path / "services") as address:
        yield Settings(
            home=tmp_path / "home",
            broker_url=address,
            s3_endpoint="http://127.0.0.1:1",
            s3_access_key="nobody",
            s3_secret_key=SecretStr("nothing"),
            naming_key=SecretStr("00"),
            log_format="json",
        )


def test_a_run_that_is_killed_again_and_again_ends_whole(settings: Settings, tmp_path: Path) -> None:
    """SIGKILL for the run, now and then for a single slot before it; the next run needs no waiting for leases."""
    chance = random.Random()
    environment = {**os.environ, **settings.environment()}
    argv = [sys.executable, "-m", "tests.fakes.run"]
    moment = Event()
    for _ in range(KILLS):
        run = process.start(argv, env=environment, log=tmp_path / "run.log")
        moment.wait(chance.uniform(*MOMENTS))
        slots = [pid for pid in kin(settings.home) if pid != run.pid]
        if slots and chance.random() < 0.5:
            os.kill(chance.choice(slots), signal.SIGKILL)
        process.stop(run, 0)
        until(lambda: kin(settings.home) == [], patience=10)
    last = process.start(argv, env=environment, log=tmp_path / "run.log")
    assert last.wait(timeout=25) == 0, (tmp_path / "run.log").read_text()
    ledger = open_ledger(settings.ledger_address)
    view = ledger.overview("e")
    assert view
    assert {one.state for one in view.steps} == {"done"}
    assert len(view.made) == len(view.plan.steps) == 13
    done = [made.key for made in ledger.artifacts(view.made).values()]
    assert len(set(done)) == 13
    assert kin(settings.home) == []
    assert not (settings.home / "scratch").exists()
    ledger.close()

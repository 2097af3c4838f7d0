"""A real episode, killed at random moments and run again: it ends as if nothing had happened."""

import os
import random
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from pipelines.tools import process
from pipelines.tools.s3 import Store
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.farm import until
from tests.fakes.kin import kin, slots
from tests.fakes.spine import Avant

#: Seconds from a run's start, or from the last death, to the next: before slots are up, while they work, at the end.
MOMENTS = (0.3, 5.0)
#: Set it to what a failed test said, to have the same deaths at the same moments.
SEED = "AVANT_TEST_SEED"


@dataclass(kw_only=True)
class Life:
    """The runs of one home, one after the other, until its episode is released."""

    avant: Avant
    document: Path
    log: Path
    run: process.Child | None = None

    @property
    def home(self) -> Path:
        return self.avant.settings.home

    def lives(self) -> bool:
        return self.run is not None and self.run.poll() is None

    def start(self) -> None:
        self.run = self.avant.start("run", self.document, "--json", log=self.log)

    def kill_run(self, *, everybody: bool) -> None:
        """SIGKILL for the run alone, whom all others must follow, or for everybody at once."""
        assert self.run
        for pid in kin(self.home) if everybody else [self.run.pid]:
            _kill(pid)
        self.run.wait()
        until(lambda: kin(self.home) == [], patience=10)
        process.stop(self.run, 0)

    def kill_slot(self, chance: random.Random) -> None:
        """SIGKILL for one slot, as soon as there is one; its run goes on."""
        until(lambda: bool(slots(self.home)) or not self.lives())
        if living := slots(self.home):
            _kill(chance.choice(sorted(living.values())))

    def end(self) -> str:
        """Let the last run come to its end; the version that it released."""
        assert self.run
        self.run.wait(timeout=120)
        words = self.log.read_text()
        assert self.run.returncode == 0, words
        assert kin(self.home) == []
        assert not (self.home / "scratch").exists()
        return spine.released(self.avant.settings)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was faster


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    return spine.deliver(tmp_path)


@pytest.fixture
def begin(delivery: Path, store_service: StoreService, tmp_path: Path) -> Iterator[Callable[..., Life]]:
    """Begins lives in homes of their own, with a store that outlives them or one that dies with them."""
    buckets: list[Store] = []

    def life(*, embedded: bool) -> Life:
        name = secrets.token_hex(8)
        if not embedded:
            buckets.append(store_service.bucket(f"killed-{name}"))
            buckets[-1].make_bucket()
        settings = spine.settings(tmp_path / name, delivery, None if embedded else store_service, f"killed-{name}")
        return Life(avant=Avant(settings=settings), document=delivery, log=tmp_path / f"{name}.log")

    yield life
    for store in buckets:
        store._connection.client.delete_bucket(Bucket=store.bucket)
        store.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("deaths", "embedded"),
    [
        pytest.param(4, False, id="beside a store"),
        pytest.param(10, False, id="often, beside a store", marks=pytest.mark.long),
        pytest.param(10, True, id="often, with its store", marks=pytest.mark.long),
    ],
)
def test_an_episode_survives(deaths: int, embedded: bool, begin: Callable[..., Life]) -> None:
    """Half the deaths are of a whole run, half of single slots; the version is that of an undisturbed run."""
    seed = int(os.environ.get(SEED, "0")) or secrets.randbits(32)
    sys.stdout.write(f"{SEED}={seed}\n")
    chance, moment = random.Random(seed), Event()
    undisturbed = begin(embedded=embedded)
    undisturbed.start()
    ahead = ["run", "slot"] * (deaths // 2)
    chance.shuffle(ahead)
    expected = undisturbed.end()
    life = begin(embedded=embedded)
    while ahead:
        if not life.lives():
            life.start()
        moment.wait(chance.uniform(*MOMENTS))
        if not life.lives():  # it was faster than death: another one is to die
            assert life.end() == expected
            spine.verify(life.avant.settings)
            life = begin(embedded=embedded)
        elif ahead.pop() == "run":
            life.kill_run(everybody=chance.random() < 0.5)
        else:
            life.kill_slot(chance)
    if not life.lives() and life.run and life.run.returncode != 0:
        life.start()
    assert life.end() == expected
    spine.verify(life.avant.settings)

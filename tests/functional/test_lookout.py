"""Looking ahead beside a clock: however long it takes, no flip waits for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from pipelines.tools.s3 import Store
from tests.fakes.farm import until
from tests.fakes.premiere import NO_HD, armed, premiere
from tests.fakes.releases import NAMES
from tests.functional.test_clock import promised, wait
from workers.clock import Clock
from workers.degrade import remedies
from workers.farm import Farm
from workers.ledger import Ledger, open_ledger
from workers.outlook import known
from workers.readiness import readiness
from workers.settings import Settings


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    found = open_ledger(ledger_address)
    found.enrol("h", memory=1 << 40, slots=["heavy", "light"])
    yield found
    found.close()


def test_a_flip_waits_for_no_forecast(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    """While the future of another episode is drawn without a pause: within a second of its time, and not before."""
    farm = Farm(settings=Settings(home=tmp_path), store=store, names=NAMES, ledger=ledger)
    at = ledger.now() + timedelta(seconds=3)
    promised(ledger, "tonight", at)
    tomorrow = at + timedelta(minutes=2)
    armed(ledger, premiere(tomorrow, preset="avc-hd", fallbacks=[NO_HD]), tomorrow)
    over, drawn = Event(), []

    def drawing() -> None:
        while not over.is_set():
            facts = known(ledger, "e")
            ahead = readiness(facts, "e").least.outlook
            drawn.append(remedies(facts, ahead, "e"))

    clock = Clock(farm)
    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(drawing)
        until(lambda: ledger.ref("tonight").state == "released", meanwhile=lambda: wait(clock.tick()))
        over.set()
        looking.result()
    flipped = ledger.ref("tonight").flipped_at
    assert flipped
    assert timedelta() <= flipped - at < timedelta(seconds=1)
    assert drawn

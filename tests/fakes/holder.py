"""
A host of many slots as far as the ledger can tell: it holds so many leases and renews them, until it is killed.

    python -m tests.fakes.holder HOW_MANY
"""

import sys
from pathlib import Path
from threading import Event

from tests.fakes.farm import LANES
from workers.ledger import Ledger, open_ledger
from workers.settings import Settings

#: What it calls itself, and the file in its home that says that it has them all.
NAME, READY = "holder", "holds"
MEMORY = 1 << 40


def hold(ledger: Ledger, home: Path, many: int, seconds: float) -> None:
    """Claim, say so, renew for ever."""
    ledger.enrol(NAME, memory=MEMORY, slots=["heavy"] * many)
    held = [ledger.claim(LANES, worker=f"{NAME}/{n}", host=NAME, lease_seconds=60) for n in range(many)]
    while True:  # all at once from here on, so that they run out together
        for claim in held:
            assert claim
            assert ledger.renew(claim.step.id, claim.token, progress=0.5, lease_seconds=seconds)
        (home / READY).touch()
        Event().wait(seconds / 3)


if __name__ == "__main__":
    settings = Settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    hold(open_ledger(settings.ledger_address), settings.home, int(sys.argv[1]), settings.lease_seconds)

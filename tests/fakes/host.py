"""
A host of a farm as a process of its own: its slots, until SIGTERM.

    python -m tests.fakes.host MODULE CLASS…     MODULE is what slots work by, CLASS one's class
"""

import select
import signal
import sys

from workers.lanes import slot_class
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.slot import heard
from workers.supervisor import Supervisor


def main(module: str, classes: list[str]) -> None:
    """Attend the slots."""
    asked = heard(signal.SIGTERM)
    settings = Settings()
    ledger = open_ledger(settings.ledger_address)
    with Supervisor(settings, ledger, slots=tuple(map(slot_class, classes)), module=module) as crew:
        while not select.select([asked], [], [], 0.1)[0]:
            crew.poll()
    ledger.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

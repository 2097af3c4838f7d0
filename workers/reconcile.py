"""
What nobody told us: leases that ran out, tickets that went missing.

Any supervisor may look, as often as it likes, at the same time as others: expiry is one transaction, and a ticket too
many finds nothing to do.
"""

from workers.broker import Tickets
from workers.lanes import CLASSES
from workers.ledger import Ledger


def reconcile(ledger: Ledger, tickets: Tickets) -> None:
    """Free the steps of silent workers, then wake as many slots as there is work for."""
    ledger.expire()
    wake(ledger, tickets)


def wake(ledger: Ledger, tickets: Tickets) -> None:
    """As many tickets for each class as there are ready steps, or slots if those are fewer."""
    ready = ledger.ready_by_lane()
    existing = ledger.slots()
    for slots in CLASSES:
        if waiting := slots.ready(ready):
            tickets.top_up(slots, ready=waiting, existing=existing.get(slots.name, 0))

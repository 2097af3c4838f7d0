"""
What nobody told us: leases that ran out, tickets that went missing.

Any supervisor may look, as often as it likes, at the same time as others: expiry is one transaction, and a ticket too
many finds nothing to do.
"""

from collections.abc import Callable, Sequence

from workers.broker import Tickets
from workers.lanes import slot_class
from workers.ledger import Ledger, Look, Taken
from workers.ledger.migrate import HEAD, unknown
from workers.ledger.retry import VANISHED


def reconcile(
    ledger: Ledger,
    tickets: Tickets,
    tell: Callable[[Sequence[Taken]], None] = lambda _taken: None,
    *,
    limit: int = VANISHED,
) -> Look:
    """
    Free the steps of silent workers, and `tell` of them; then wake as many slots as there is work for. What was seen.

    A step that `limit` workers vanished from is set aside.

    Raises `ConfigurationError`, and does nothing, once the ledger has a schema that we don't know.
    """
    look = ledger.look()
    if look.schema != HEAD:
        raise unknown(look.schema)
    if look.late:
        tell(ledger.expire(limit=limit))
        look = ledger.look()
    _top_up(look, tickets)
    return look


def wake(ledger: Ledger, tickets: Tickets) -> None:
    """As many tickets for each class as there are ready steps, or slots if those are fewer."""
    _top_up(ledger.look(), tickets)


def _top_up(look: Look, tickets: Tickets) -> None:
    for name, existing in look.slots.items():
        slots = slot_class(name)
        if waiting := slots.ready(look.ready):
            tickets.top_up(slots, ready=waiting, existing=existing)

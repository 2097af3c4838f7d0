"""Steps that were taken from their holders: said, counted, and reported once one is suspected of killing them."""

from collections.abc import Iterable
from typing import Literal

import structlog

from workers import observability
from workers.ledger import Taken
from workers.observability import Culprit
from workers.tally import Tally

log = structlog.get_logger()


def tell(taken: Iterable[Taken], how: Literal["died", "silent"], tally: Tally) -> None:
    """Tell of steps whose holder `died` under our eyes, or was `silent` until its lease ran out."""
    for each in taken:
        told = {"episode": each.episode, "trace": each.trace, "step": each.step, "host": each.host}
        log.warning("step.taken", how=how, label=each.label, worker=each.worker, attempt=each.attempts, **told)
        tally.lost(how)
        if each.quarantined:
            log.error("step.quarantined", label=each.label, attempts=each.attempts, **told)
            observability.alarm(
                "A step was quarantined: its workers vanish.",
                Culprit(**told, kind=each.kind, label=each.label, worker=each.worker, attempt=each.attempts),
                hint="Look into the workers' logs and the hosts' memory; then `avant retry` the episode.",
            )

"""
The one actor: a ticket came, so claim a step, wake the next slot, do the step.

It never raises, and nothing is ever retried by the broker: whether a step is tried again is the ledger's decision.
"""

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import ConfigurationError
from workers.bench import Bench
from workers.broker import ACTOR
from workers.lanes import SlotClass

log = structlog.get_logger()


def declare(broker: RedisBroker, slots: SlotClass, bench: Bench) -> None:
    """Have `bench` take the tickets of that class of slots in this process."""

    @dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=slots.name)
    def work() -> None:
        try:
            if claim := bench.claim(slots):
                bench.run(claim)
        except SQLAlchemyError as error:
            # The ledger is out of reach. A lease that it gave runs out, and then the step is ready again.
            log.error("ledger.unreachable", error=type(error).__name__)  # noqa: TRY400 - a traceback says no more
        except ConfigurationError as error:
            # The ledger has a schema that we don't know: nothing more is begun.
            log.error("ledger.refused", message=error.message)  # noqa: TRY400 - likewise

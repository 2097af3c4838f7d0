"""
The truth about all work: which steps there are, who holds them, what has been made, what viewers get.

SQL through SQLAlchemy's expressions: SQLite embedded, PostgreSQL for a farm; only the address differs.
"""

from workers.ledger.acts import Act, Acts, By
from workers.ledger.checks import Check, Checks
from workers.ledger.database import connect
from workers.ledger.ends import Ends
from workers.ledger.fallbacks import Fallbacks
from workers.ledger.faults import explained
from workers.ledger.garbage import Attempt, Begun, Existing, Garbage, Grave
from workers.ledger.gate import STALE, Lack
from workers.ledger.history import Histories
from workers.ledger.look import Look, Looks
from workers.ledger.measures import Measured, Measures
from workers.ledger.notices import Notice, Notices
from workers.ledger.operate import Cancelled, HostView, LaneView, Operations
from workers.ledger.recovery import Recoveries
from workers.ledger.refs import Refs, Release
from workers.ledger.standings import Standings
from workers.ledger.submit import Submissions, Submitted
from workers.ledger.tracing import Traces
from workers.ledger.views import EpisodeView, Fault, Overview, StepView, VersionView, Views
from workers.ledger.work import Claim, Taken, Verdict, Work

__all__ = [
    "STALE",
    "Act",
    "Attempt",
    "Begun",
    "By",
    "Cancelled",
    "Check",
    "Claim",
    "EpisodeView",
    "Existing",
    "Fault",
    "Grave",
    "HostView",
    "Lack",
    "LaneView",
    "Ledger",
    "Look",
    "Measured",
    "Notice",
    "Overview",
    "Release",
    "StepView",
    "Submitted",
    "Taken",
    "Verdict",
    "VersionView",
    "explained",
    "open_ledger",
]


class Ledger(
    Submissions,
    Work,
    Operations,
    Looks,
    Refs,
    Recoveries,
    Views,
    Histories,
    Traces,
    Measures,
    Acts,
    Fallbacks,
    Standings,
    Garbage,
    Ends,
    Checks,
    Notices,
):
    """One connection pool, and everything that is asked of it. Safe for use by several threads."""


def open_ledger(url: str, *, seen: bool = False) -> Ledger:
    """
    The ledger at `url`, its tables made if there are none. Raises `ConfigurationError`.

    Who starts us may have `seen` that they are there: then nothing is asked of it yet, and it may be down for now.
    """
    return Ledger(connect(url, seen=seen))

"""
What the farm tells of itself: log events for people and machines, one report for each step that failed for good.

`logs` writes lines, `reports` sends what somebody must see, `scrub` takes out of both what must not leave the process.
`trace` names a submission from the moment it is handed in until viewers get it. Figures are kept in `workers.tally`
and told by `workers.metrics`.
"""

from workers.observability.logs import configure, kept
from workers.observability.reports import Culprit, alarm, report

__all__ = ["Culprit", "alarm", "configure", "kept", "report"]

"""
One number that orders all work: when a step must start at the latest.

Pure. The deadline is moved by what the step is for, and the way from the step to the end of its plan comes off.
"""

from pipelines.step import Step

HOUR = 3600.0
#: Seconds after the deadline by which each class is wanted.
GRACE = {"must": 0.0, "should": 2 * HOUR, "later": 24 * HOUR}
#: Work without a deadline comes after all that has one (the year 5138), oldest first.
BULK = 1e11


def latest_start(step: Step, *, deadline: float | None, submitted_at: float) -> float:
    """Seconds since 1970 at which `step` must start. Instants are seconds since 1970."""
    grace = GRACE[step.urgency]
    if deadline is None:
        return BULK + submitted_at + grace
    return deadline + grace - step.tail

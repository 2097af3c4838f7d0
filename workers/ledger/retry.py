"""
Whether a step that failed is tried again, and after how long: a decision that is a value.

Pure. Whose fault it was is told by the error's class, and nothing else.
"""

from pipelines.errors import EdgeError, HostError, StoreError, ToolError

#: A tool may fail by chance, or because of its host; three times is neither.
TOOL_FAULTS = 3
#: Services come back: ten attempts are spread over about five minutes.
SERVICE_FAULTS = 10
LONGEST = 60.0  # seconds
#: Seconds for which a step whose tool failed is kept for other hosts, if there are any; then the same may try again.
ELSEWHERE = 15.0
#: Holders of one step that vanished (killed, crashed, cut off) until the step itself is suspected. A setting, too.
VANISHED = 5


def pause(error: Exception, faults: int, slack: float = 0.0) -> float | None:
    """
    Seconds until the next attempt after `faults` failures, of which this is the last; None: there is none.

    `slack` is in how many seconds the step must begin so that its episode is in time: so long services are waited for.
    """
    match error:
        case ToolError():
            return 0.0 if faults < TOOL_FAULTS else None
        case StoreError() | EdgeError():
            wait = _backed_off(faults)
            return wait if faults < SERVICE_FAULTS or slack > wait else None
        case HostError():
            return _backed_off(faults) if faults < SERVICE_FAULTS else None
        case _:
            return None


def _backed_off(faults: int) -> float:
    return min(LONGEST, 2.0 ** min(faults - 1, 10))
